#include "app/prove/catalogue.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <set>

#include "app/prove/bench.hpp"
#include "app/prove/results.hpp"

namespace ascertain::app {
namespace {

std::vector<CataloguedDefect> some(std::size_t count) {
    std::vector<CataloguedDefect> defects(count);
    for (std::size_t i = 0; i < count; ++i) {
        defects[i].id = "d-" + std::to_string(i);
        defects[i].family = i % 2 == 0 ? "race" : "precision";
        defects[i].plane = "chip";
    }
    return defects;
}

// Reads `text` as a file of defects, in a folder of its own: tests run side by side.
Result<std::vector<CataloguedDefect>> read_text(const std::string& text) {
    const auto folder = ScratchFolder::make();
    if (!folder) return folder.error();
    const auto path = (*folder)->path() + "/defects.toml";
    std::ofstream(path) << text;
    return read_defects(path);
}

TEST(SelectDefects, by_id_wildcard_class_and_plane) {
    const auto all = some(6);
    EXPECT_EQ(select_defects(all, {"d-3"}, 0, 1)->size(), 1u);
    EXPECT_EQ(select_defects(all, {"d-*"}, 0, 1)->size(), 6u);
    EXPECT_EQ(select_defects(all, {"@race"}, 0, 1)->size(), 3u);
    EXPECT_EQ(select_defects(all, {"@race", "d-1"}, 0, 1)->size(), 4u);
    EXPECT_EQ(select_defects(all, {"@chip"}, 0, 1)->size(), 6u);
}

TEST(SelectDefects, nothing_selected_is_an_error_with_the_near_match) {
    const auto none = select_defects(some(6), {"@rase"}, 0, 1);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, ErrorCode::kUsage);
    EXPECT_NE(none.error().message.find("@race"), std::string::npos);
}

TEST(SelectVariants, by_name_and_wildcard_with_the_near_match_for_none) {
    const std::vector<HealthyVariant> all{
        {"healthy", ""}, {"split-k-in-4", "a"}, {"split-k-in-8", "b"}};
    EXPECT_EQ(select_variants(all, {})->size(), 3u);
    EXPECT_EQ(select_variants(all, {"healthy"})->front().path, "");
    EXPECT_EQ(select_variants(all, {"split-*"})->size(), 2u);
    const auto none = select_variants(all, {"split-k-in-5"});
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, ErrorCode::kUsage);
    EXPECT_NE(none.error().message.find("split-k-in-"), std::string::npos);
}

TEST(SelectDefects, a_sample_has_its_size_keeps_the_order_and_follows_the_seed) {
    const auto all = some(50);
    std::set<std::string> drawn;
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        const auto sample = select_defects(all, {}, 5, seed);
        ASSERT_EQ(sample->size(), 5u);
        EXPECT_EQ(select_defects(all, {}, 5, seed)->front().id, sample->front().id);
        for (std::size_t i = 0; i + 1 < 5; ++i)
            EXPECT_LT(std::stoi((*sample)[i].id.substr(2)),
                      std::stoi((*sample)[i + 1].id.substr(2)));
        for (const auto& one : *sample) drawn.insert(one.id);
    }
    // 200 draws out of 50: one in fifty is left out with probability 0.9^40 = 1.5 %.
    EXPECT_GE(drawn.size(), 45u);
    EXPECT_EQ(select_defects(all, {}, 500, 1)->size(), 50u);
}

TEST(ReadDefects, each_entry_becomes_a_document_of_its_own) {
    const auto defects = read_text(
        "schema = \"ascertain.defect/1\"\n"
        "[[defect]]\nid = \"a\"\nsummary = \"s\"\nsource = \"o\"\nclass = \"race\"\nplane = "
        "\"memory\"\n"
        "[[defect.rule]]\n[defect.rule.where]\noperator = [\"mm\", \"bmm\"]\n[defect.rule.does]\n"
        "kind = \"crash\"\n"
        "[[defect]]\nid = \"b\"\nsummary = \"s\"\nsource = \"o\"\nnot_expressible = \"no way\"\n");
    ASSERT_TRUE(defects) << defects.error().text();
    ASSERT_EQ(defects->size(), 2u);
    EXPECT_EQ((*defects)[0].operators, "bmm, mm");
    EXPECT_EQ((*defects)[0].plane, "memory");
    EXPECT_NE((*defects)[0].place.find(":2"), std::string::npos);
    EXPECT_EQ((*defects)[1].document, "");
    // The document of the first reads back as the first alone.
    const auto alone = read_text((*defects)[0].document);
    ASSERT_TRUE(alone) << alone.error().text();
    ASSERT_EQ(alone->size(), 1u);
    EXPECT_EQ((*alone)[0].id, "a");
    EXPECT_EQ((*alone)[0].operators, "bmm, mm");
}

TEST(ReadDefects, errors_name_the_place) {
    const auto broken = read_text("[[defect]]\nid = \"a\"\nsummary = \n");
    ASSERT_FALSE(broken);
    EXPECT_NE(broken.error().where.find(".toml:3"), std::string::npos) << broken.error().where;
    const auto nameless = read_text("[[defect]]\nsummary = \"s\"\nsource = \"o\"\n");
    ASSERT_FALSE(nameless);
    EXPECT_NE(nameless.error().message.find("\"id\""), std::string::npos);
}

TEST(AlarmBound, is_the_rule_of_clopper_and_pearson) {
    // Without an alarm: 1 - 0.05^(1/n).
    EXPECT_NEAR(alarm_bound(0, 1), 0.95, 1e-12);
    EXPECT_NEAR(alarm_bound(0, 500), 1.0 - std::pow(0.05, 1.0 / 500.0), 1e-9);
    // One of ten: P(X <= 1) is 5 % at p = 0.3942 (tables of the binomial distribution).
    EXPECT_NEAR(alarm_bound(1, 10), 0.3942, 1e-4);
    EXPECT_EQ(alarm_bound(3, 3), 1.0);
    EXPECT_EQ(alarm_bound(0, 0), 1.0);
}

TEST(Results, read_back_as_they_were_written) {
    DefectResult result;
    result.id = "a";
    result.family = "race";
    result.plane = "chip";
    result.expressible = result.exercised = result.caught = true;
    result.caught_by = {{"ops.repeat.mm", "FLAKY", "ops.repeat.same", "differs"}};
    result.profile = "quick";
    result.seconds = 2.5;
    result.caught_after_s = 1.5;
    result.matched = 7;
    result.fired = 3;
    const Json body = to_json(result);
    const auto again = defect_result_from_json(body, "log:1");
    ASSERT_TRUE(again) << again.error().text();
    EXPECT_EQ(to_json(*again), body);
    EXPECT_FALSE(defect_result_from_json(Json{{"id", "a"}}, "log:2"));
}

}  // namespace
}  // namespace ascertain::app
