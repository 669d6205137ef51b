#include "app/campaign.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace ascertain::app {
namespace {

using testing::HasSubstr;

const std::string kGood = R"([model]
config = "../models/deepseek-r1.json"
[training]
precision = "bf16"
[[training.stage]]
kind = "pretrain"
tokens = 14.8e12
sequence_length = 4096
global_batch_sequences = 15360
[[training.stage]]
kind = "grpo"
updates = 8000
prompts_per_update = 512
samples_per_prompt = 16
response_tokens = 12000
[fleet]
chip = "ascend-910b2"
count = 8192
chips_per_node = 8
network = "roce-200"
spare_nodes = 32
[serving]
chip = "ascend-910b2"
[decision]
finish_within = "90 d"
budget = "60 MUSD"
confidence = 0.9
interruptions_per_day_at_most = 12
[here]
devices = ["auto"]
reference = "cpu"
)";

std::string replaced(const std::string& from, const std::string& to) {
    std::string text = kGood;
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
}

Error refused(const std::string& text) {
    const auto campaign = read_campaign(text, "c/x.toml");
    EXPECT_FALSE(campaign.ok());
    return campaign.ok() ? Error{} : campaign.error();
}

TEST(Campaign, ReadsTheExampleOfTheManual) {
    const auto campaign = read_campaign(kGood, "c/x.toml");
    ASSERT_TRUE(campaign.ok()) << campaign.error().text();
    EXPECT_EQ(campaign->model_config, "models/deepseek-r1.json");
    EXPECT_EQ(campaign->stages.size(), 2u);
    EXPECT_DOUBLE_EQ(campaign->stages[0].tokens, 14.8e12);
    EXPECT_EQ(campaign->fleets.front().count, 8192);
    EXPECT_DOUBLE_EQ(campaign->decision.finish_within->count, 90 * 86400.0);
    EXPECT_DOUBLE_EQ(campaign->decision.budget->count, 60e6);
}

TEST(Campaign, ErrorsNameFileLineColumnAndTheNearMatch) {
    const auto error = refused(replaced("spare_nodes = 32", "spare_node = 32"));
    EXPECT_THAT(error.where, HasSubstr("c/x.toml:21:"));
    EXPECT_THAT(error.message, HasSubstr("did you mean \"spare_nodes\""));
}

TEST(Campaign, OperationsSayHowTheRunSavesShrinksAndIsLookedAfter) {
    const auto with = [](const std::string& lines) {
        return replaced("[here]", "[operations]\n" + lines + "\n[here]");
    };
    EXPECT_EQ(read_campaign(kGood, "c/x.toml")->operations.checkpoint, "");
    const auto campaign =
        read_campaign(with("checkpoint = \"in_memory\"\ncheckpoint_interval = \"5 min\"\n"
                           "persistent_interval = \"2 h\"\nreplicas_lost_at_most = 0.1\n"
                           "maintenance_every = \"14 d\"\nmaintenance_takes = \"8 h\"\n"
                           "monitoring_ratio = 0.01\nstep_time_spread = 0.02"),
                      "c/x.toml");
    ASSERT_TRUE(campaign.ok()) << campaign.error().text();
    EXPECT_EQ(campaign->operations.checkpoint, "in_memory");
    EXPECT_DOUBLE_EQ(campaign->operations.checkpoint_interval->count, 300.0);
    EXPECT_DOUBLE_EQ(campaign->operations.maintenance_takes->count, 8 * 3600.0);
    EXPECT_DOUBLE_EQ(campaign->operations.replicas_lost_at_most, 0.1);
    EXPECT_THAT(refused(with("checkpoint = \"async\"")).message, HasSubstr("asynchronous"));
    EXPECT_THAT(refused(with("persistent_interval = \"1 h\"")).message, HasSubstr("in_memory"));
    EXPECT_THAT(refused(with("maintenance_every = \"14 d\"")).message, HasSubstr("takes"));
    EXPECT_THAT(refused(with("checkpoint_interval = 300")).message, HasSubstr("text with a unit"));
    EXPECT_FALSE(read_campaign(with("step_time_spread = -0.1"), "c/x.toml").ok());
    EXPECT_FALSE(read_campaign(with("checkpoint_interval = \"-5 min\""), "c/x.toml").ok());
}

TEST(Campaign, QuantitiesNeedTheirUnit) {
    EXPECT_THAT(refused(replaced("\"90 d\"", "\"90\"")).message, HasSubstr("the unit is missing"));
    EXPECT_THAT(refused(replaced("\"90 d\"", "90")).message, HasSubstr("text with a unit"));
    EXPECT_THAT(refused(replaced("\"60 MUSD\"", "\"60 MEUR\"")).message, HasSubstr("unknown unit"));
}

TEST(Campaign, AbsurdValuesAreRefusedWithTheirRange) {
    EXPECT_THAT(refused(replaced("count = 8192", "count = 0")).message, HasSubstr("outside 1 to"));
    EXPECT_THAT(refused(replaced("count = 8192", "count = 8191")).message,
                HasSubstr("do not fill nodes"));
    EXPECT_THAT(refused(replaced("confidence = 0.9", "confidence = 1.5")).message,
                HasSubstr("between 0 and 1"));
    EXPECT_THAT(refused(replaced("tokens = 14.8e12", "tokens = -1")).message, HasSubstr("outside"));
    EXPECT_THAT(refused(replaced("precision = \"bf16\"", "precision = \"bf61\"")).message,
                HasSubstr("did you mean \"bf16\""));
}

TEST(Campaign, StagesNameFleetsThatExist) {
    EXPECT_THAT(
        refused(replaced("kind = \"pretrain\"", "kind = \"pretrain\"\nfleet = \"b\"")).message,
        HasSubstr("which does not exist"));
}

TEST(Campaign, AStageMaySayWhatItsPlanIs) {
    const std::string stage = "[[training.stage]]\nkind = \"grpo\"";
    const auto with = [&](const std::string& plan) {
        return replaced(stage, "[training.stage.plan]\n" + plan + "\n" + stage);
    };
    const auto campaign = read_campaign(with("pp = 4\npipeline_layers = [15, 16, 16, "
                                             "14]\nrecompute = [\"full\"]\noffload_layers = 2"),
                                        "c/x.toml");
    ASSERT_TRUE(campaign.ok()) << campaign.error().text();
    cost::SearchOptions options;
    ASSERT_TRUE(apply(campaign->stages[0].plan, options).ok());
    EXPECT_EQ(options.pp, std::vector<std::int64_t>{4});
    EXPECT_EQ(options.pipeline_layers, (std::vector<std::int64_t>{15, 16, 16, 14}));
    EXPECT_EQ(options.recomputes, std::vector{parallel::Recompute::kFull});
    EXPECT_EQ(options.offload_layers, 2);
    EXPECT_TRUE(to_json(campaign->stages[1].plan).empty());
    EXPECT_THAT(refused(with("schedule = [\"1g1b\"]")).message, HasSubstr("there are none, gpipe"));
    EXPECT_THAT(refused(with("tp = 0")).message, HasSubstr("outside 1 to"));
    EXPECT_THAT(refused(with("tp = []")).message, HasSubstr("leave it out"));
    EXPECT_THAT(refused(with("tpp = 8")).message, HasSubstr("did you mean \"tp\""));
}

TEST(Campaign, ServingIsReadWithItsWorkloadAndLimits) {
    const auto campaign = read_campaign(
        replaced("[serving]\nchip = \"ascend-910b2\"",
                 "[serving]\nchip = \"h20-96gb\"\nprecision = \"fp8\"\noutput_tokens = 800\n"
                 "time_per_output_token = \"50 ms\"\noutput_tokens_per_s = 1e6"),
        "c/x.toml");
    ASSERT_TRUE(campaign.ok()) << campaign.error().text();
    EXPECT_EQ(campaign->serving.chip, "h20-96gb");
    EXPECT_EQ(campaign->serving.precision, "fp8");
    EXPECT_DOUBLE_EQ(campaign->serving.output_tokens, 800.0);
    EXPECT_DOUBLE_EQ(campaign->serving.time_per_output_token->count, 0.05);
    EXPECT_DOUBLE_EQ(*campaign->serving.output_tokens_per_s, 1e6);
    const auto serving = [](const std::string& line) {
        return refused(replaced("[serving]\nchip = \"ascend-910b2\"",
                                "[serving]\nchip = \"ascend-910b2\"\n" + line))
            .text();
    };
    EXPECT_THAT(serving("precision = \"fp2\""), HasSubstr("none of bf16"));
    EXPECT_THAT(serving("count = 0"), HasSubstr("outside 1 to"));
    EXPECT_THAT(serving("output_tokens = 0"), HasSubstr("output_tokens"));
    EXPECT_THAT(serving("cached_ratio = 1.5"), HasSubstr("cached_ratio"));
    EXPECT_THAT(serving("time_per_output_token = 50"), HasSubstr("unit"));
    EXPECT_THAT(serving("output_tokens_per_s = -1"), HasSubstr("output_tokens_per_s"));
    EXPECT_THAT(serving("out_tokens = 5"), HasSubstr("did you mean"));
}

TEST(Campaign, RolloutsSayWhatTheyWaitFor) {
    const auto with = [](const std::string& lines) {
        return replaced("response_tokens = 12000", "response_tokens = 12000\n" + lines);
    };
    const auto campaign =
        read_campaign(with("rollout = \"partial\"\nresponse_tokens_max = 32768"), "c/x.toml");
    ASSERT_TRUE(campaign.ok()) << campaign.error().text();
    EXPECT_EQ(campaign->stages[1].rollout, Rollout::kPartial);
    EXPECT_EQ(campaign->stages[1].response_tokens_max, 32768);
    EXPECT_EQ(read_campaign(kGood, "c/x.toml")->stages[1].rollout, Rollout::kNotSaid);
    EXPECT_THAT(refused(with("rollout = \"lazy\"")).message, HasSubstr("synchronous"));
    EXPECT_THAT(refused(with("response_tokens_max = 12000")).message, HasSubstr("cut off"));
}

TEST(Campaign, BrokenTextsAreOneErrorWithAPlace) {
    EXPECT_THAT(refused("").message, HasSubstr("empty"));
    EXPECT_THAT(refused("[model]\nconfig = \"a\nb").where, HasSubstr("c/x.toml:2:"));
    EXPECT_THAT(refused(kGood.substr(0, 60)).where, HasSubstr("c/x.toml:"));
    EXPECT_THAT(refused(std::string("\x7f"
                                    "ELF\0\1\2",
                                    7))
                    .where,
                HasSubstr("c/x.toml:1:"));
    EXPECT_THAT(refused(std::string(2'000'000, 'a')).message, HasSubstr("more than a campaign"));
    EXPECT_THAT(refused("x = " + std::string(5000, '[')).where, HasSubstr("c/x.toml:1:"));
    EXPECT_THAT(refused(replaced("[serving]", "[fleet]")).where, HasSubstr("c/x.toml:22:"));
}

TEST(Campaign, EveryTruncationIsAnErrorOrACampaignNeverACrash) {
    for (std::size_t length = 0; length < kGood.size(); ++length) {
        static_cast<void>(read_campaign(kGood.substr(0, length), "t.toml"));
    }
}

}  // namespace
}  // namespace ascertain::app
