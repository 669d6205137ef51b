#include "app/prove/shipped.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "app/prove/bench.hpp"
#include "app/qualify/conclude.hpp"

namespace ascertain::app {
namespace {

TEST(ShippedProofs, none_is_stale) {
    const Home home{ASCERTAIN_SOURCE_DIR, "", ""};
    const auto criteria = read_criteria(home);
    ASSERT_TRUE(criteria) << criteria.error().text();
    // Renew them with `ascertain prove --all-checks --write-proofs`.
    EXPECT_EQ(stale_proofs(home, *criteria), std::vector<std::string>{});
}

TEST(ShippedProofs, of_another_criterion_are_stale_and_not_used) {
    const Home source{ASCERTAIN_SOURCE_DIR, "", ""};
    const auto criteria = read_criteria(source);
    ASSERT_TRUE(criteria);
    const auto scratch = ScratchFolder::make();
    ASSERT_TRUE(scratch) << scratch.error().text();
    const std::filesystem::path folder = (*scratch)->path();
    std::filesystem::create_directories(folder / "data/proofs");
    const Home home{folder.string(), "", ""};
    const auto write = [&](const std::string& key) {
        std::ofstream(folder / "data/proofs/proofs.json")
            << judge::to_json(judge::Proofs{{"ops.numerics", key, {"some-defect"}}}).dump();
    };
    write("of-yesterday");
    EXPECT_EQ(stale_proofs(home, *criteria), std::vector<std::string>{"ops.numerics"});
    EXPECT_TRUE(shipped_proofs(home, *criteria).empty());
    write(proof_key(*checks::find("ops.numerics"), *criteria));
    EXPECT_TRUE(stale_proofs(home, *criteria).empty());
    const auto proofs = shipped_proofs(home, *criteria);
    ASSERT_EQ(proofs.size(), 1u);
    EXPECT_NE(judge::proof_of(proofs, "ops.numerics.mm"), nullptr);
    EXPECT_EQ(judge::proof_of(proofs, "ops.numericsish"), nullptr);
}

}  // namespace
}  // namespace ascertain::app
