#include <gtest/gtest.h>

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

// What a worker answers that gives every token the log-probability -2, and likes token 5 best.
Json answer_to(const Request& request) {
    const Json& text = request.params["text"];
    const auto rows = text["rows"].get<std::size_t>();
    const auto places = text["length"].get<std::size_t>() - 1;
    Json scores = Json::object();
    for (const Json& way : request.params["ways"]) {
        const bool decode = way == "decode";
        Json logprobs = Json::array();
        Json likeliest = Json::array();
        for (std::size_t row = 0; row < rows; ++row) {
            Json values = Json::array();
            Json best = Json::array();
            for (std::size_t place = 0; place < places; ++place) {
                const bool scored = !decode || place + 1 >= (places + 1) / 2;
                values.push_back(scored ? Json(-2.0) : Json());
                best.push_back(scored ? 5 : -1);
            }
            logprobs.push_back(values);
            likeliest.push_back(best);
        }
        scores[way.get<std::string>()] = {{"logprobs", logprobs}, {"likeliest", likeliest}};
    }
    Json answer{
        {"observation", {testing::metric("tokens", 1), testing::metric("nonfinite_logprobs", 0)}},
        {"scores", scores},
        {"tokens", text},
        {"quantisation", ""}};
    if (request.params["hash"] == true) answer["weights_hash"] = "abc";
    return answer;
}

bool asks_device(const Request& request) {
    return request.params["side"] == "device";
}

Observation observe(const char* id, const std::function<void(const Request&, Json&)>& change) {
    Driver driver(id, params());
    const Step step = driver.run([&](const Request& request) {
        Json answer = answer_to(request);
        change(request, answer);
        return testing::result(answer);
    });
    const Done* done = std::get_if<Done>(&step);
    EXPECT_NE(done, nullptr) << std::get<GiveUp>(step).message;
    return done == nullptr ? Observation{} : done->observation;
}

double value(const Observation& observation, const char* name) {
    const Metric* metric = find_metric(observation, name);
    EXPECT_NE(metric, nullptr) << name;
    return metric != nullptr && metric->value ? *metric->value : -1.0;
}

void nothing(const Request&, Json&) {}

TEST(Handoff, SidesThatSayTheSameDifferInNothing) {
    for (const char* id : {"handoff.fp32", "handoff.precision"}) {
        const Observation seen = observe(id, nothing);
        for (const char* name :
             {"weights_differ", "texts_differ", "nonfinite_logprobs", "unscored_tokens",
              "logprob_error_mean", "logprob_error_max", "likeliest_disagreement"}) {
            EXPECT_EQ(value(seen, name), 0.0) << id << " " << name;
        }
        // 512 tokens at each of 16, 32 and 64, all but the first of each text.
        EXPECT_EQ(value(seen, "scored_tokens"), 32 * 15 + 16 * 31 + 8 * 63);
        // Decoding scores what follows the first half of each text.
        EXPECT_EQ(value(seen, "decoded_tokens"), 32 * 8 + 16 * 16 + 8 * 32);
    }
}

TEST(Handoff, OneTokenOffIsSeenWithItsSizeAndItsShare) {
    const Observation seen = observe("handoff.fp32", [](const Request& request, Json& answer) {
        if (!asks_device(request) || request.params["text"]["length"] != 32) return;
        answer["scores"]["whole"]["logprobs"][3][4] = -2.5;
        answer["scores"]["whole"]["likeliest"][3][4] = 6;
    });
    const double tokens = 32 * 15 + 16 * 31 + 8 * 63;
    EXPECT_DOUBLE_EQ(value(seen, "logprob_error_max"), 0.5);
    EXPECT_DOUBLE_EQ(value(seen, "logprob_error_mean"), 0.5 / tokens);
    EXPECT_DOUBLE_EQ(value(seen, "likeliest_disagreement"), 1.0 / tokens);
    EXPECT_DOUBLE_EQ(value(seen, "alone_error_max"), 0.5);
    EXPECT_DOUBLE_EQ(value(seen, "decode_error_max"), 0.0);
}

TEST(Handoff, ACacheOffByOneShowsInDecodingAlone) {
    const Observation seen = observe("handoff.precision", [](const Request& request, Json& answer) {
        if (!asks_device(request)) return;
        for (Json& row : answer["scores"]["decode"]["logprobs"]) {
            for (Json& entry : row) {
                if (!entry.is_null()) entry = -2.25;
            }
        }
    });
    EXPECT_DOUBLE_EQ(value(seen, "decode_error_mean"), 0.25);
    EXPECT_DOUBLE_EQ(value(seen, "logprob_error_mean"), 0.0);
}

TEST(Handoff, AScoreThatIsMissingIsCountedAndNeverTakenForEqual) {
    const Observation seen = observe("handoff.fp32", [](const Request& request, Json& answer) {
        if (!asks_device(request)) return;
        answer["scores"]["whole"]["logprobs"][0][0] = nullptr;
        answer["scores"]["whole"]["logprobs"].erase(1);
    });
    EXPECT_GT(value(seen, "unscored_tokens"), 0.0);
}

TEST(Handoff, OtherWeightsOrNoHashIsADifference) {
    for (const bool erased : {false, true}) {
        const Observation seen = observe("handoff.fp32", [&](const Request& request, Json& answer) {
            if (!asks_device(request) || !answer.contains("weights_hash")) return;
            if (erased) {
                answer.erase("weights_hash");
            } else {
                answer["weights_hash"] = "abd";
            }
        });
        EXPECT_EQ(value(seen, "weights_differ"), 1.0);
    }
}

TEST(Handoff, ErrorsThatGrowAlongTheTextAreSeenAsGrowth) {
    const Observation seen = observe("handoff.precision", [](const Request& request, Json& answer) {
        if (!asks_device(request)) return;
        const double error = request.params["text"]["length"].get<double>() / 1000.0;
        for (const char* way : {"whole", "alone", "decode"}) {
            for (Json& row : answer["scores"][way]["logprobs"]) {
                for (Json& entry : row) {
                    if (!entry.is_null()) entry = -2.0 - error;
                }
            }
        }
    });
    // 0.064 at the longest length over 0.016 at the shortest.
    EXPECT_NEAR(value(seen, "error_growth_with_length"), 4.0, 1e-6);
    EXPECT_GT(value(seen, "logprob_shift"), 0.016);
}

TEST(Handoff, WhoFailsDecidesWhoIsBlamed) {
    for (const bool device : {true, false}) {
        Driver driver("handoff.fp32", params());
        const Step step = driver.run([&](const Request& request) {
            return asks_device(request) == device ? testing::error("device_error", "broken")
                                                  : testing::result(answer_to(request));
        });
        ASSERT_TRUE(std::holds_alternative<GiveUp>(step));
        EXPECT_EQ(std::get<GiveUp>(step).reason,
                  device ? GiveUp::Reason::kDeviceError : GiveUp::Reason::kHarnessError);
    }
}

}  // namespace
}  // namespace ascertain::checks
