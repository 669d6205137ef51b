#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "defects/counts.hpp"
#include "defects/defect.hpp"
#include "defects/effects.hpp"
#include "defects/places.hpp"
#include "defects/read.hpp"
#include "defects/schema.hpp"
#include "defects/when.hpp"

namespace ascertain::defects {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<std::string> kOperators{"mm", "bmm", "add", "add_", "silu_backward"};

std::string text_of(const std::filesystem::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::string with(const std::string& body) {
    return "schema = \"ascertain.defect/1\"\n[[defect]]\nid = \"x\"\nsummary = \"s\"\n"
           "source = \"t\"\n" +
           body;
}

std::string rule(const std::string& where, const std::string& does, const std::string& when = "") {
    return with("[defect.where]\n" + where + "\n[defect.when]\n" + when + "\n[defect.does]\n" +
                does + "\n");
}

Defect read(const std::string& text) {
    const auto defects = read_defects(text, "f.toml", kOperators);
    EXPECT_TRUE(defects.ok()) << (defects ? "" : defects.error().text());
    return defects && !defects->empty() ? defects->front() : Defect{};
}

std::string refusal(const std::string& text) {
    const auto defects = read_defects(text, "f.toml", kOperators);
    EXPECT_FALSE(defects.ok()) << text;
    return defects ? "" : defects.error().text();
}

TEST(ReadDefects, ARuleIsWhatItSays) {
    const Defect defect =
        read(rule("operator = [\"mm\", \"add\"]\nphase = \"backward\"\nrows_at_least = 4\n"
                  "last_dim_not_multiple_of = 128\nargument = \"beta\"\nnot_value = 0.0",
                  "kind = \"overwrite\"\nvalue = \"nan\"\nwhich = \"tail\"\nelements = 8",
                  "without_sync = \"2 ms\"\nprobability = 0.5\nmemory_above = \"64 MB\""));
    ASSERT_EQ(defect.rules.size(), 1U);
    const auto& [where, when, does] = defect.rules.front();
    EXPECT_THAT(where.operators, ElementsAre("mm", "add", "add_"));
    EXPECT_EQ(where.phase, Phase::kBackward);
    ASSERT_EQ(where.shape.size(), 2U);
    EXPECT_EQ(where.shape[1].bound, Bound::kAtLeast);
    ASSERT_TRUE(where.argument.has_value());
    EXPECT_TRUE(where.argument->differs);
    EXPECT_DOUBLE_EQ(when.without_sync_s, 0.002);
    EXPECT_DOUBLE_EQ(when.memory_above_bytes, 64e6);
    EXPECT_TRUE(std::isnan(does.number("value")));
    EXPECT_EQ(does.whole("elements"), 8);
    EXPECT_DOUBLE_EQ(does.number("above"), 0.0);
}

TEST(ReadDefects, PlanesClassesAndSeveralRules) {
    const Defect defect = read(
        with("class = \"race\"\nplane = \"fabric\"\nremedy = \"r\"\nscaled = \"2^31 to 2^16\"\n"
             "[[defect.rule]]\nwhere = {collective = \"all_*\"}\ndoes = {kind = \"stall\"}\n"
             "[[defect.rule]]\nwhere = {point = \"evaluate\"}\ndoes = {kind = \"hang\"}\n"));
    EXPECT_EQ(defect.plane, Plane::kFabric);
    EXPECT_EQ(defect.kind, "race");
    ASSERT_EQ(defect.rules.size(), 2U);
    EXPECT_EQ(defect.rules[0].where.place, Place::kCollective);
    EXPECT_EQ(defect.rules[1].where.place, Place::kPoint);
    const Defect none = read(with("not_expressible = \"needs a board\"\n"));
    EXPECT_FALSE(none.expressible());
    EXPECT_TRUE(none.rules.empty());
}

TEST(ReadDefects, EveryMistakeIsRefusedWithItsPlaceAndWhatIsNear) {
    const auto says = [](const std::string& text, const std::string& part) {
        EXPECT_THAT(refusal(text), HasSubstr(part));
    };
    says(rule("operator = \"silu_bakward\"", "kind = \"crash\""), "did you mean \"silu_backward\"");
    says(rule("operator = \"silu_bakward\"", "kind = \"crash\""), "f.toml:7:");
    says(rule("operator = [\"mm\", \"linear\"]", "kind = \"crash\""), "does not reach");
    says(rule("operator = \"mm\"\nlayuot = \"any\"", "kind = \"crash\""), "layout");
    says(rule("operator = \"mm\"\nrow_at_least = 2", "kind = \"crash\""), "rows_at_least");
    says(rule("operator = \"mm\"", "kind = \"scael\""), "did you mean \"scale\"");
    says(rule("operator = \"mm\"", "kind = \"scale\""), "factor");
    says(rule("operator = \"mm\"", "kind = \"scale\"\nfactor = 2.0\nchunk = 1"), "chunk");
    says(rule("operator = \"mm\"", "kind = \"overwrite\"\nvalue = \"nam\""), "nan");
    says(rule("operator = \"mm\"\nvalue = 1.0", "kind = \"crash\""), "argument");
    says(rule("operator = \"mm\"\nargument = \"p\"", "kind = \"crash\""), "not_value");
    says(rule("operator = \"add\"", "kind = \"round_partial_sums\"\nchunk = 4"), "inside mm");
    says(rule("operator = \"mm\"", "kind = \"fall_back\"", "every = 2"), "fall_back");
    says(rule("operator = \"mm\"", "kind = \"crash\"", "after_busy = \"5\""), "unit");
    says(rule("operator = \"mm\"", "kind = \"crash\"", "overlap = 1"), "true or false");
    says(rule("collective = \"all_reduse\"", "kind = \"stall\""), "did you mean \"all_reduce\"");
    says(rule("point = \"los\"", "kind = \"scale\"\nfactor = 2.0"), "did you mean \"loss\"");
    says(rule("point = \"loss\"\nphase = \"any\"", "kind = \"skip\""), "phase");
    says(rule("event = \"power\"", "kind = \"scale\""), "not one of failures");
    says(with("plane = \"chips\"\nnot_expressible = \"r\"\n"), "did you mean \"chip\"");
    says(with("class = \"raze\"\nnot_expressible = \"r\"\n"), "did you mean \"race\"");
    says(with(""), "where");
    says(with("not_expressible = \"r\"\nwhere = {operator = \"mm\"}\n"), "no where");
    says(with("[[defect.rule]]\nwhere = {operator = \"mm\"}\ndoes = {kind = \"crash\"}\n"
              "[defect.where]\noperator = \"mm\"\n"),
         "of its own");
    says("schema = \"ascertain.defect/1\"\n", "defect");
    says("[[defect", "f.toml:1:");
}

TEST(ReadDefects, WithoutAListOfOperatorsAnyNameIsTaken) {
    const auto defects = read_defects(rule("operator = \"anything\"", "kind = \"crash\""), "f", {});
    ASSERT_TRUE(defects.ok());
    EXPECT_TRUE(defects->front().rules.front().where.operators.empty());
}

TEST(Effects, EveryRowIsDocumentedAndUnique) {
    const std::string page =
        text_of(std::filesystem::path(ASCERTAIN_SOURCE_DIR) / "docs/defects.md");
    for (const Effect& effect : effects()) {
        EXPECT_EQ(find_effect(effect.place, effect.kind), &effect) << effect.kind << " twice";
        EXPECT_THAT(page, HasSubstr(fmt::format("`{}`", effect.kind)));
        for (const Field& field : effect.fields) {
            EXPECT_THAT(page, HasSubstr(fmt::format("`{}`", field.name))) << effect.kind;
        }
    }
    for (const auto* words : {&points(), &collectives(), &events(), &layout_names()}) {
        for (const std::string& word : *words)
            EXPECT_THAT(page, HasSubstr(fmt::format("`{}`", word)));
    }
}

// ASCERTAIN_UPDATE=1 writes the file.
TEST(Schema, TheFileSaysWhatTheTablesSay) {
    const auto path =
        std::filesystem::path(ASCERTAIN_SOURCE_DIR) / "data/schema/defect.schema.json";
    const std::string expected = defect_schema().dump(2) + "\n";
    if (std::getenv("ASCERTAIN_UPDATE") != nullptr) std::ofstream(path) << expected;
    EXPECT_TRUE(text_of(path) == expected) << path << " is old: run with ASCERTAIN_UPDATE=1";
}

TEST(When, CountsCallsAndDrawsFromTheSeed) {
    const When when{.after_calls = 3, .every = 4, .times = 2};
    std::vector<int> acted;
    for (int number = 0; number < 20; ++number) {
        if (acts(when, number, static_cast<std::int64_t>(acted.size()), 1)) acted.push_back(number);
    }
    EXPECT_THAT(acted, ElementsAre(3, 7));
    int drawn = 0;
    int processes = 0;
    for (int number = 0; number < 1000; ++number) {
        drawn += acts({.probability = 0.25, .seed = 5}, number, 0, 1) ? 1 : 0;
        processes += acts({.seed = 5, .process_share = 0.25}, 0, 0, number) ? 1 : 0;
    }
    // Binomial(1000, 1/4): mean 250, standard deviation 13.7; five of them.
    EXPECT_NEAR(drawn, 250, 69);
    EXPECT_NEAR(processes, 250, 69);
}

class CountsFile : public testing::Test {
protected:
    std::string path_ = (std::filesystem::temp_directory_path() /
                         ("ascertain-counts-" + std::to_string(::getpid())))
                            .string();
    void TearDown() override { std::filesystem::remove(path_); }
    [[nodiscard]] std::vector<Count> read_back() const {
        const auto counts = read_counts(text_of(path_), path_);
        EXPECT_TRUE(counts.ok());
        return counts ? *counts : std::vector<Count>{};
    }
};

TEST_F(CountsFile, SeveralEnginesAndProcessesAddUp) {
    const std::vector<std::string> ids{"one", "two words"};
    {
        auto first = Counts::open(path_, ids);
        auto second = Counts::open(path_, ids);
        ASSERT_TRUE(first.ok() && second.ok());
        first->add(1, 1, 0);
        second->add(1, 2, 1);
    }
    auto later = Counts::open(path_, ids);
    later->add(1, 1, 1);
    ASSERT_EQ(read_back().size(), 2U);
    EXPECT_EQ(read_back()[0].matched, 0);
    EXPECT_EQ(read_back()[1].id, "two words");
    EXPECT_EQ(read_back()[1].matched, 4);
    EXPECT_EQ(read_back()[1].fired, 2);
}

TEST_F(CountsFile, OneOfOtherDefectsIsBegunAnew) {
    Counts::open(path_, {"one", "two"})->add(0, 5, 5);
    ASSERT_TRUE(Counts::open(path_, {"three"}).ok());
    ASSERT_EQ(read_back().size(), 1U);
    EXPECT_EQ(read_back()[0].id, "three");
    EXPECT_EQ(read_back()[0].matched, 0);
    EXPECT_FALSE(Counts::open("/nowhere/counts", {"one"}).ok());
    EXPECT_THAT(read_counts("nonsense\n", "c").error().text(), HasSubstr("c:1"));
}

}  // namespace
}  // namespace ascertain::defects
