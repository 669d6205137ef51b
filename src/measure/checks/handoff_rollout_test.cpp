#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "measure/checks/testing.hpp"

namespace ascertain::checks {
namespace {

using testing::Driver;

Json params() {
    return {{"serve_weights", {{"folder", "/somewhere"}}},
            {"serve_length_max", 64},
            {"serve_dtype", "bf16"}};
}

Json matrix_of(std::size_t rows, std::size_t columns, const Json& value) {
    Json matrix = Json::array();
    for (std::size_t row = 0; row < rows; ++row) matrix.push_back(Json(columns, value));
    return matrix;
}

// A device that writes token 5 and a reference that likes it best, both at a log-probability of -2.
Json answer_to(const Request& request) {
    Json answer{
        {"observation", {testing::metric("tokens", 1), testing::metric("nonfinite_logprobs", 0)}},
        {"quantisation", ""}};
    if (request.params["hash"] == true) answer["weights_hash"] = "abc";
    if (request.kind == "generate") {
        const auto rows = request.params["text"]["rows"].get<std::size_t>();
        const auto prompt = request.params["text"]["length"].get<std::size_t>();
        const auto written = request.params["new_tokens"].get<std::size_t>();
        answer["tokens"] = matrix_of(rows, prompt + written, 5);
        answer["logprobs"] = matrix_of(rows, written, -2.0);
        return answer;
    }
    const std::size_t rows = request.params["tokens"].size();
    const std::size_t places = request.params["tokens"][0].size() - 1;
    answer["scores"]["whole"] = {{"logprobs", matrix_of(rows, places, -2.0)},
                                 {"likeliest", matrix_of(rows, places, 5)}};
    return answer;
}

Step step_of(const char* id, const std::function<void(const Request&, Json&)>& change) {
    Driver driver(id, params());
    return driver.run([&](const Request& request) {
        Json answer = answer_to(request);
        change(request, answer);
        return testing::result(answer);
    });
}

void nothing(const Request&, Json&) {}

// Three quarters of each text are written: of 512 tokens at 16, 32 and 64.
constexpr double kWritten = 3 * 512 * 0.75;

TEST(Rollout, ASamplerThatSaysWhatTheTrainerSaysDiffersInNothing) {
    for (const char* id : {"handoff.rollout_fp32", "handoff.rollout"}) {
        const Step step = step_of(id, nothing);
        for (const char* name : {"weights_differ", "nonfinite_logprobs", "unscored_tokens",
                                 "rollout_error_mean", "rollout_error_max", "rollout_divergence",
                                 "clipped_share", "greedy_disagreement", "rollout_shift"}) {
            EXPECT_EQ(testing::value_of(step, name), 0.0) << id << " " << name;
        }
        EXPECT_EQ(testing::value_of(step, "effective_sample_share"), 1.0);
        EXPECT_EQ(testing::value_of(step, "scored_tokens"), kWritten);
    }
}

TEST(Rollout, TheTokenAfterThePromptIsComparedWithItsOwnScore) {
    const Step step = step_of("handoff.rollout_fp32", [](const Request& request, Json& answer) {
        if (request.kind != "generate" || request.params["greedy"] == true) return;
        if (request.params["new_tokens"] != 12) return;  // 16 tokens, 4 of them given
        // The trainer would hold it e^3 times likelier: beyond the cap of 2.
        answer["logprobs"][0][0] = -5.0;
    });
    EXPECT_DOUBLE_EQ(testing::value_of(step, "rollout_error_max"), 3.0);
    EXPECT_DOUBLE_EQ(testing::value_of(step, "rollout_error_mean"), 3.0 / kWritten);
    EXPECT_DOUBLE_EQ(testing::value_of(step, "clipped_share"), 1.0 / kWritten);
    EXPECT_NEAR(testing::value_of(step, "rollout_divergence"), (std::exp(3.0) - 4.0) / kWritten,
                1e-12);
    const auto& detail = std::get<Done>(step).detail;
    // It is the first of its text, and the sampler held it for rarer than one in a hundred.
    EXPECT_DOUBLE_EQ(detail["probabilities"][0]["logprob_error_mean"].get<double>(), 3.0);
    EXPECT_EQ(detail["probabilities"][0]["tokens"], 1);
    EXPECT_GT(detail["positions"][0]["logprob_error_mean"].get<double>(), 0.0);
    EXPECT_EQ(detail["positions"][3]["logprob_error_mean"].get<double>(), 0.0);
}

TEST(Rollout, TheReferenceScoresTheTokensThatWereWritten) {
    const Step step = step_of("handoff.rollout_fp32", [](const Request& request, Json& answer) {
        if (request.kind == "generate") {
            answer["tokens"][1][7] = 11;
        } else {
            EXPECT_EQ(request.params["tokens"][1][7], 11);
        }
    });
    EXPECT_TRUE(std::holds_alternative<Done>(step));
}

TEST(Rollout, GreedyTextThatTheTrainerWouldNotWriteIsCounted) {
    const Step step = step_of("handoff.rollout", [](const Request& request, Json& answer) {
        // In the greedy text, the last: 8 rows of 48 written tokens.
        if (request.kind == "generate" && request.params["greedy"] == true) {
            answer["tokens"][2][20] = 6;
        }
    });
    EXPECT_DOUBLE_EQ(testing::value_of(step, "greedy_disagreement"), 1.0 / (8 * 48));
}

TEST(Rollout, AMissingNumberIsNeverTakenForEqual) {
    const Step step = step_of("handoff.rollout", [](const Request& request, Json& answer) {
        if (request.kind == "generate") answer["logprobs"][0][3] = nullptr;
    });
    EXPECT_EQ(testing::value_of(step, "unscored_tokens"), 3.0);
}

TEST(Rollout, OtherWeightsDifferAndAServerThatHidesThemSaysSo) {
    const Step other = step_of("handoff.rollout", [](const Request& request, Json& answer) {
        if (request.kind == "generate") answer["weights_hash"] = "abd";
    });
    EXPECT_EQ(testing::value_of(other, "weights_differ"), 1.0);
    const Step none = step_of("handoff.rollout", [](const Request& request, Json& answer) {
        if (request.kind == "generate") answer.erase("weights_hash");
    });
    EXPECT_EQ(testing::value_of(none, "weights_differ"), 1.0);
    const Step hidden = step_of("handoff.rollout", [](const Request& request, Json& answer) {
        if (request.kind != "generate") return;
        answer.erase("weights_hash");
        answer["weights_hash_reason"] = "a server does not show its weights";
    });
    const auto* metric = find_metric(std::get<Done>(hidden).observation, "weights_differ");
    ASSERT_NE(metric, nullptr);
    EXPECT_FALSE(metric->value.has_value());
}

TEST(Rollout, WhoFailsDecidesWhoIsBlamed) {
    for (const bool device : {true, false}) {
        Driver driver("handoff.rollout", params());
        const Step step = driver.run([&](const Request& request) {
            return (request.kind == "generate") == device ? testing::error("device_error", "broken")
                                                          : testing::result(answer_to(request));
        });
        EXPECT_TRUE(testing::gave_up(
            step, device ? GiveUp::Reason::kDeviceError : GiveUp::Reason::kHarnessError));
    }
}

}  // namespace
}  // namespace ascertain::checks
