#include <gtest/gtest.h>

#include <set>

#include "measure/checks/testing.hpp"

namespace ascertain::checks {
namespace {

using testing::Driver;
using testing::gave_up;
using testing::metric;
using testing::value_of;

const Json kPlanned = {{"links", Json::array({{{"kind", "all_to_all"},
                                               {"dtype", "bf16"},
                                               {"elements", 1'000'000'000},
                                               {"used_by", "experts"}}})}};

Answer collective_answer(double mismatches, Json findings = Json::array()) {
    const Json one = {{"kind", "all_reduce"},
                      {"dtype", "bf16"},
                      {"elements", 64},
                      {"emulated", false},
                      {"findings", std::move(findings)}};
    return testing::result(
        {{"observation",
          {metric("mismatches", mismatches), metric("wrong_collectives", mismatches > 0.0 ? 1 : 0),
           metric("unrepeated", 0), metric("collectives", 10)}},
         {"backend", "gloo"},
         {"staged", false},
         {"cases", Json::array({one})}});
}

Answer healthy(const Request& request) {
    if (request.kind == "store") return testing::result({{"port", 4711}});
    if (request.kind == "rendezvous") return testing::result({{"backend", "gloo"}});
    return collective_answer(0.0);
}

TEST(LinksData, JoinsAllRanksAndAsksEveryKindWithAndWithoutCompute) {
    Driver driver("links.data", kPlanned);
    driver.ranks = 3;
    const Step step = driver.run(healthy);
    ASSERT_TRUE(std::holds_alternative<Done>(step));
    ASSERT_EQ(driver.asked.size(), 4U);
    EXPECT_EQ(driver.asked[0].kind, "store");
    EXPECT_EQ(driver.asked[0].members, std::vector<std::size_t>{0});
    EXPECT_EQ(driver.asked[1].kind, "rendezvous");
    EXPECT_EQ(driver.asked[1].params["port"], 4711);
    for (const std::size_t together : {1U, 2U, 3U}) {
        EXPECT_EQ(driver.asked[together].members, (std::vector<std::size_t>{0, 1, 2}));
    }
    std::set<std::string> kinds;
    for (const Json& one : driver.asked[2].params["cases"]) {
        kinds.insert(one["kind"].get<std::string>());
    }
    EXPECT_EQ(kinds.size(), 7U);
    EXPECT_FALSE(driver.asked[2].params["compute"].get<bool>());
    EXPECT_TRUE(driver.asked[3].params["compute"].get<bool>());
    // 3 ranks ran 10 collectives each, twice.
    EXPECT_EQ(value_of(step, "collectives"), 60.0);
    EXPECT_EQ(value_of(step, "mismatches"), 0.0);
}

TEST(LinksData, CutsWhatThePlanSendsToTheTimeThereIs) {
    Driver driver("links.data", kPlanned);
    driver.ranks = 2;
    static_cast<void>(driver.run(healthy));
    const Json& planned = driver.asked[2].params["cases"].back();
    EXPECT_EQ(planned["kind"], "all_to_all");
    EXPECT_LT(planned["elements"].get<std::int64_t>(), 1'000'000);
}

TEST(LinksData, NamesTheRankThatMostFindingsBlame) {
    Driver driver("links.data", kPlanned, 0.0);
    driver.ranks = 3;
    const Step step = driver.run_ranks([](const Request& request, std::size_t member) {
        if (request.kind != "collective" || member == 1) return healthy(request);
        return collective_answer(5.0, Json::array({{{"what", "missing"},
                                                    {"from_rank", 1},
                                                    {"iteration", 0},
                                                    {"byte_begin", 0},
                                                    {"byte_end", 128},
                                                    {"wrong_elements", 5}}}));
    });
    EXPECT_EQ(value_of(step, "mismatches"), 10.0);
    EXPECT_EQ(value_of(step, "wrong_collectives"), 2.0);
    const auto& done = std::get<Done>(step);
    EXPECT_EQ(done.detail["blamed_rank"], 1);
    EXPECT_EQ(done.detail["findings"].size(), 2U);
    EXPECT_EQ(done.detail["findings"][1]["at_rank"], 2);
}

TEST(LinksData, ARankThatRaisesIsNamed) {
    Driver driver("links.data", kPlanned);
    driver.ranks = 2;
    const Step step = driver.run_ranks([](const Request& request, std::size_t member) {
        if (request.kind == "collective" && member == 1) {
            return testing::error("device_error", "simulated link error");
        }
        return healthy(request);
    });
    ASSERT_TRUE(gave_up(step, GiveUp::Reason::kDeviceError));
    EXPECT_EQ(std::get<GiveUp>(step).message, "rank 1: simulated link error");
}

TEST(LinksData, NoCollectiveIsNoPass) {
    Driver driver("links.data", kPlanned);
    driver.ranks = 2;
    const Step nothing = driver.run([](const Request& request) {
        if (request.kind != "collective") return healthy(request);
        return testing::result({{"observation",
                                 {metric("mismatches", 0), metric("wrong_collectives", 0),
                                  metric("unrepeated", 0), metric("collectives", 0)}}});
    });
    EXPECT_TRUE(gave_up(nothing, GiveUp::Reason::kHarnessError));
    const Step empty = driver.run([](const Request& request) {
        if (request.kind != "collective") return healthy(request);
        return testing::result(Json::object());
    });
    EXPECT_TRUE(gave_up(empty, GiveUp::Reason::kHarnessError));
}

TEST(LinksData, SaysNothingOfLinksThatItDoesNotDrive) {
    Driver driver("links.data", kPlanned);
    driver.ranks = 2;
    driver.device = "npu:0";
    EXPECT_TRUE(gave_up(driver.run(healthy), GiveUp::Reason::kNoReference));
}

TEST(LinksData, RanksMeetOnOneMachineWhicheverItIs) {
    Driver driver("links.data", kPlanned);
    driver.ranks = 2;
    driver.device = "node1/cpu";
    EXPECT_FALSE(gave_up(driver.run(healthy), GiveUp::Reason::kNoReference));
    // A loopback that cannot be reached is no fault of theirs.
    driver.last_device = "node2/cpu";
    EXPECT_TRUE(gave_up(driver.run(healthy), GiveUp::Reason::kNoReference));
}

}  // namespace
}  // namespace ascertain::checks
