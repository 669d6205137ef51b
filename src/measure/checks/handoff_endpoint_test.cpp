#include <gtest/gtest.h>

#include <functional>

#include "measure/checks/testing.hpp"

namespace ascertain::checks {
namespace {

using testing::Driver;

Json params() {
    return {{"serve_weights", {{"folder", "/somewhere"}}},
            {"serve_length_max", 32},
            {"serve_dtype", "bf16"}};
}

Json matrix_of(std::size_t rows, std::size_t columns, const Json& value) {
    Json matrix = Json::array();
    for (std::size_t row = 0; row < rows; ++row) matrix.push_back(Json(columns, value));
    return matrix;
}

bool asks_server(const Request& request) {
    return request.params.contains("text");
}

// A server that scores prompts and a reference that agrees: every token at -2, 5 the likeliest.
Json answer_to(const Request& request) {
    const bool server = asks_server(request);
    const auto rows = server ? request.params["text"]["rows"].get<std::size_t>()
                             : request.params["tokens"].size();
    const auto length = server ? request.params["text"]["length"].get<std::size_t>()
                               : request.params["tokens"][0].size();
    Json scores;
    for (const Json& way : request.params["ways"]) {
        scores[way.get<std::string>()] = {{"logprobs", matrix_of(rows, length - 1, -2.0)},
                                          {"likeliest", matrix_of(rows, length - 1, 5)}};
    }
    return {
        {"observation", {testing::metric("tokens", 1), testing::metric("nonfinite_logprobs", 0)}},
        {"scores", scores},
        {"tokens", server ? matrix_of(rows, length, 3) : request.params["tokens"]}};
}

Step step_of(const std::function<void(const Request&, Json&)>& change) {
    Driver driver("handoff.endpoint", params());
    return driver.run([&](const Request& request) {
        Json answer = answer_to(request);
        change(request, answer);
        return testing::result(answer);
    });
}

// 512 tokens at 16 and at 32, all but the first of each text.
constexpr double kScored = 32 * 15 + 16 * 31;

TEST(Endpoint, AServerThatSaysWhatTheReferenceSaysDiffersInNothing) {
    const Step step = step_of([](const Request&, Json&) {});
    for (const char* name : {"unscored_tokens", "logprob_error_mean", "logprob_error_max",
                             "likeliest_disagreement", "alone_error_mean", "logprob_shift"}) {
        EXPECT_EQ(testing::value_of(step, name), 0.0) << name;
    }
    EXPECT_EQ(testing::value_of(step, "scored_tokens"), kScored);
}

TEST(Endpoint, TheReferenceAndItsTwinScoreTheTokensOfTheAnswer) {
    const Step step = step_of([](const Request& request, Json& answer) {
        if (asks_server(request)) {
            answer["tokens"][0][1] = 9;
            return;
        }
        EXPECT_EQ(request.params["tokens"][0][1], 9);
        if (request.params["side"] == "twin") {
            EXPECT_EQ(request.params["dtype"], "bf16");
            for (Json& row : answer["scores"]["whole"]["logprobs"]) {
                for (Json& number : row) number = -2.125;
            }
        }
    });
    EXPECT_DOUBLE_EQ(testing::value_of(step, "logprob_error_mean_band"), 0.125);
    EXPECT_DOUBLE_EQ(testing::value_of(step, "logprob_error_mean"), 0.0);
}

// Scores of the second half alone, and nothing about likeliest tokens: the server wrote the text.
TEST(Endpoint, AServerThatScoresOnlyWhatItWritesIsJudgedByThat) {
    const Step step = step_of([](const Request& request, Json& answer) {
        if (!asks_server(request)) return;
        answer["scores"].erase("alone");
        Json& whole = answer["scores"]["whole"];
        for (std::size_t row = 0; row < whole["logprobs"].size(); ++row) {
            const std::size_t given = answer["tokens"][row].size() / 2;
            for (std::size_t i = 0; i < whole["logprobs"][row].size(); ++i) {
                const bool written = i + 1 >= given;
                whole["likeliest"][row][i] = written ? -2 : -1;
                whole["logprobs"][row][i] = written ? Json(-2.5) : Json();
            }
        }
    });
    EXPECT_EQ(testing::value_of(step, "unscored_tokens"), 0.0);
    EXPECT_EQ(testing::value_of(step, "scored_tokens"), 32 * 8 + 16 * 16);
    EXPECT_DOUBLE_EQ(testing::value_of(step, "logprob_error_mean"), 0.5);
    const Observation& seen = std::get<Done>(step).observation;
    EXPECT_FALSE(find_metric(seen, "likeliest_disagreement")->value.has_value());
    EXPECT_FALSE(find_metric(seen, "alone_error_mean")->value.has_value());
}

TEST(Endpoint, AnAnswerThatIsTooShortIsCountedAndNeverTakenForEqual) {
    const Step step = step_of([](const Request& request, Json& answer) {
        if (asks_server(request)) answer["scores"]["whole"]["logprobs"][0].erase(3);
    });
    EXPECT_GT(testing::value_of(step, "unscored_tokens"), 0.0);
}

TEST(Endpoint, WhoFailsDecidesWhoIsBlamed) {
    for (const bool server : {true, false}) {
        Driver driver("handoff.endpoint", params());
        const Step step = driver.run([&](const Request& request) {
            return asks_server(request) == server ? testing::error("device_error", "broken")
                                                  : testing::result(answer_to(request));
        });
        EXPECT_TRUE(testing::gave_up(
            step, server ? GiveUp::Reason::kDeviceError : GiveUp::Reason::kHarnessError));
    }
}

}  // namespace
}  // namespace ascertain::checks
