// store, rendezvous and collective with several ranks, each a thread with a session of its own.
#include <gtest/gtest.h>

#include <thread>

#include "worker/collectives/group.hpp"
#include "worker/collectives/requests.hpp"

namespace ascertain::collectives {
namespace {

class Ranks {
public:
    explicit Ranks(int ranks) : sessions_(static_cast<std::size_t>(ranks)) {
        served_ = store(keeper_, Json::object());
    }

    // What every rank answers; a rank in `absent` is not asked.
    std::vector<Json> ask(Result<Json> (*handler)(worker::Session&, const Json&),
                          const Json& params, int absent = -1) {
        std::vector<Json> answers(sessions_.size());
        std::vector<std::thread> threads;
        for (std::size_t rank = 0; rank < sessions_.size(); ++rank) {
            if (static_cast<int>(rank) == absent) continue;
            threads.emplace_back([&, rank] {
                Json own = params;
                own["rank"] = rank;
                own["ranks"] = sessions_.size();
                const auto answer = handler(sessions_[rank], own);
                answers[rank] = answer ? *answer : Json{{"error", answer.error().text()}};
            });
        }
        for (std::thread& thread : threads) thread.join();
        return answers;
    }

    std::vector<Json> join(int absent = -1, double timeout_s = 20.0) {
        return ask(rendezvous,
                   {{"host", "127.0.0.1"},
                    {"port", served_ ? (*served_)["port"] : Json(0)},
                    {"name", "test"},
                    {"address", "127.0.0.1"},
                    {"timeout_s", timeout_s}},
                   absent);
    }

    // What keeps the store from being served; empty: nothing.
    [[nodiscard]] std::string trouble() const { return served_ ? "" : served_.error().text(); }

private:
    worker::Session keeper_;
    Result<Json> served_ = Json();
    std::vector<worker::Session> sessions_;
};

Json a_case(const char* kind, const char* dtype, int elements, int iterations = 3) {
    return {{"kind", kind}, {"dtype", dtype}, {"elements", elements}, {"iterations", iterations}};
}

double metric_of(const Json& answer, std::string_view name) {
    for (const Json& metric : answer.value("observation", Json::array())) {
        if (metric["metric"] == name) return metric["value"].get<double>();
    }
    return -1.0;
}

TEST(Collective, EveryKindAndDtypeArrivesRightOnThreeRanks) {
    Ranks ranks(3);
    ASSERT_EQ(ranks.trouble(), "");
    for (const Json& joined : ranks.join())
        ASSERT_EQ(joined.value("backend", ""), "gloo") << joined;
    Json cases = Json::array();
    for (const char* dtype : {"bf16", "fp16", "fp32"}) {
        for (const char* kind : {"all_reduce", "all_gather", "reduce_scatter", "all_to_all",
                                 "broadcast", "send_recv"}) {
            cases.push_back(a_case(kind, dtype, 130));
        }
    }
    for (const char* kind : {"all_gather", "all_to_all", "broadcast", "send_recv"}) {
        cases.push_back(a_case(kind, "fp8_e4m3", 130));
    }
    cases.push_back(a_case("all_reduce", "bool", 1));
    cases.push_back(a_case("all_reduce", "bool", 130));
    cases.push_back(a_case("barrier", "bf16", 1));
    cases.push_back(a_case("all_reduce", "fp32", 130));
    cases.back()["repeats"] = true;
    const auto answers = ranks.ask(collective, {{"cases", cases}, {"seed", 3}, {"timed", true}});
    for (const Json& answer : answers) {
        EXPECT_EQ(metric_of(answer, "mismatches"), 0.0) << answer;
        EXPECT_EQ(metric_of(answer, "unrepeated"), 0.0) << answer;
        EXPECT_EQ(metric_of(answer, "collectives"), 3.0 * static_cast<double>(cases.size()));
        for (const Json& one : answer["cases"]) {
            // What the backend builds from something else is named, and not timed.
            const bool emulated = one["kind"] == "reduce_scatter";
            EXPECT_EQ(one["emulated"], emulated);
            EXPECT_EQ(one["seconds"].size(), emulated ? 0U : 3U);
        }
    }
}

TEST(Collective, WhatIsCorruptedOnOneRankIsSeenThereAlone) {
    Ranks ranks(2);
    ASSERT_EQ(ranks.trouble(), "");
    ranks.join();
    std::vector<Json> cases{a_case("all_reduce", "bf16", 64), a_case("all_gather", "fp32", 64)};
    const auto answers = ranks.ask(
        [](worker::Session& session, const Json& params) {
            Json own = params;
            if (own["rank"] == 0) own["tamper"] = {{"kind", "element"}, {"amount", 0.5}};
            return collective(session, own);
        },
        {{"cases", cases}, {"seed", 3}});
    EXPECT_GT(metric_of(answers[0], "mismatches"), 0.0);
    EXPECT_TRUE(answers[0].value("tampered", false));
    EXPECT_EQ(metric_of(answers[1], "mismatches"), 0.0);
}

TEST(Collective, ARankThatDoesNotComeIsWaitedForNoLongerThanAgreed) {
    Ranks ranks(3);
    ASSERT_EQ(ranks.trouble(), "");
    ranks.join(-1, 1.0);
    const Json cases = Json::array({a_case("all_reduce", "fp32", 8)});
    const auto answers = ranks.ask(collective, {{"cases", cases}, {"seed", 3}}, 2);
    for (const std::size_t rank : {0U, 1U}) {
        ASSERT_TRUE(answers[rank].contains("stopped")) << answers[rank];
        EXPECT_EQ(answers[rank]["stopped"]["collective"], "all_reduce");
        EXPECT_EQ(answers[rank]["stopped"]["number"], 1);
    }
}

TEST(Rendezvous, SaysWhoWaitsWhenARankIsMissing) {
    Ranks ranks(2);
    ASSERT_EQ(ranks.trouble(), "");
    const auto answers = ranks.join(1, 1.0);
    ASSERT_TRUE(answers[0].contains("stopped")) << answers[0];
    EXPECT_EQ(answers[0]["stopped"]["collective"], "rendezvous");
}

TEST(Collective, NeedsAGroup) {
    worker::Session session;
    const auto answer = collective(session, {{"seed", 1}});
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code, ErrorCode::kBadInput);
}

TEST(Collective, RefusesWhatMakesNoSense) {
    Ranks ranks(2);
    ASSERT_EQ(ranks.trouble(), "");
    ranks.join();
    for (const Json& wrong :
         {a_case("all_reduse", "bf16", 8), a_case("all_reduce", "fp8_e4m3", 8),
          a_case("all_reduce", "bf16", 0), a_case("all_reduce", "bf16", 8, 0), Json::object()}) {
        const auto answers = ranks.ask(collective, {{"cases", Json::array({wrong})}, {"seed", 1}});
        EXPECT_TRUE(answers[0].contains("error")) << wrong;
    }
}

}  // namespace
}  // namespace ascertain::collectives
