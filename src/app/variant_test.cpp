#include "app/variant.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ascertain::app {
namespace {

using testing::HasSubstr;

Home home() {
    return {ASCERTAIN_SOURCE_DIR, "", ""};
}

Situation story() {
    auto situation = read_situation(home(), {home().data("campaigns/story-r2.toml"), ""});
    EXPECT_TRUE(situation.ok()) << situation.error().text();
    return *situation;
}

Situation varied(std::string_view text, double delivered = 1.0) {
    const auto variant = parse_variant(text);
    EXPECT_TRUE(variant.ok()) << variant.error().text();
    auto result = vary(home(), story(), *variant, delivered);
    EXPECT_TRUE(result.ok()) << result.error().text();
    return *result;
}

TEST(Variant, ReadsChipsCountsNetworksAndMixes) {
    const auto one = parse_variant("h20-96gb:4096@roce-400");
    ASSERT_TRUE(one.ok());
    EXPECT_EQ(one->mixing, Mixing::kAlone);
    EXPECT_EQ(one->parts[0].chip, "h20-96gb");
    EXPECT_EQ(one->parts[0].count, 4096);
    EXPECT_EQ(one->parts[0].network, "roce-400");
    EXPECT_EQ(parse_variant("a+b")->mixing, Mixing::kServing);
    EXPECT_EQ(parse_variant("a^b")->mixing, Mixing::kByStage);
    EXPECT_EQ(parse_variant("a~b")->mixing, Mixing::kByShare);
}

TEST(Variant, SaysWhatIsWrongWithAWord) {
    for (const auto* word : {"", ":8", "a+", "+b", "a+b+c", "a:0", "a:-8", "a:many", "a:1e4", "a@",
                             "a:999999999999"}) {
        const auto refused = parse_variant(word);
        ASSERT_FALSE(refused.ok()) << word;
        EXPECT_EQ(refused.error().code, ErrorCode::kUsage) << word;
    }
}

TEST(Variant, AloneTakesTheCampaignsCountAndEveryStage) {
    const Situation h20 = varied("h20-96gb");
    ASSERT_EQ(h20.fleets.size(), 1u);
    EXPECT_EQ(h20.fleets[0].count, 4096);
    EXPECT_EQ(h20.campaign.serving.chip, "h20-96gb");
    for (const auto& stage : h20.campaign.stages) EXPECT_EQ(stage.fleet, "first");
}

TEST(Variant, TheNetworkIsTheOneNearestToTheChipsPorts) {
    EXPECT_EQ(varied("ascend-910b2").fleets[0].scale_out.id, "roce-200");  // 200 Gbit/s ports
    EXPECT_EQ(varied("h20-96gb").fleets[0].scale_out.id, "roce-400");
    EXPECT_EQ(varied("h20-96gb@ib-hdr").fleets[0].scale_out.id, "ib-hdr");
}

TEST(Variant, APlusMixTrainsOnOneAndServesOnTheOther) {
    const Situation mix = varied("h800-80gb-sxm+ascend-910c:1536");
    EXPECT_EQ(mix.fleets[0].count, 4096);
    EXPECT_EQ(mix.fleets[1].count, 1536);
    EXPECT_EQ(mix.campaign.serving.chip, "ascend-910c");
    EXPECT_EQ(mix.campaign.stages.back().fleet, "first");
    EXPECT_EQ(mix.campaign.stages.back().rollout_fleet, "second");
}

TEST(Variant, AStageMixMovesAllButTheFirstStage) {
    const Situation mix = varied("h800-80gb-sxm^ascend-910c");
    EXPECT_EQ(mix.campaign.stages.front().fleet, "first");
    EXPECT_EQ(mix.campaign.stages.back().fleet, "second");
}

TEST(Variant, AShareMixHalvesTheCountUnlessItIsSaid) {
    const Situation mix = varied("h800-80gb-sxm~ascend-910c:1024");
    EXPECT_EQ(mix.fleets[0].count, 2048);
    EXPECT_EQ(mix.fleets[1].count, 1024);
    EXPECT_EQ(mix.campaign.stages.front().shared_fleet, "second");
}

TEST(Variant, WhatIsDeliveredComesInWholeNodes) {
    const Situation half = varied("h800-80gb-sxm:4096", 0.3);  // 1228.8 chips, 153 nodes
    EXPECT_EQ(half.fleets[0].count, 153 * 8);
    EXPECT_EQ(half.fleets[0].spare_nodes, 5);  // of 16 for 4096
}

TEST(Variant, UnknownChipsAndBrokenNodesAreRefused) {
    const auto unknown = vary(home(), story(), *parse_variant("h80-80gb-sxm"), 1.0);
    ASSERT_FALSE(unknown.ok());
    EXPECT_THAT(unknown.error().message, HasSubstr("h800-80gb-sxm"));
    const auto broken = vary(home(), story(), *parse_variant("h20-96gb:4097"), 1.0);
    ASSERT_FALSE(broken.ok());
    EXPECT_THAT(broken.error().message, HasSubstr("nodes of 8"));
}

}  // namespace
}  // namespace ascertain::app
