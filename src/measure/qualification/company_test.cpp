#include "measure/qualification/company.hpp"

#include <gmock/gmock.h>

#include <vector>

namespace ascertain::qualification {
namespace {

using ::testing::HasSubstr;

RankEnd rank_end(std::size_t rank) {
    RankEnd end;
    end.rank = rank;
    end.device = "simulated:" + std::to_string(rank);
    return end;
}

RankEnd waits(std::size_t rank, int number) {
    RankEnd end = rank_end(rank);
    end.stopped = {{"collective", "all_reduce"}, {"number", number}, {"message", "timed out"}};
    return end;
}

RankEnd gone(std::size_t rank, device::Ending ending, std::string message) {
    RankEnd end = rank_end(rank);
    end.ending = ending;
    end.message = std::move(message);
    return end;
}

TEST(EndOfCompany, SaysNothingWhenAllAnswered) {
    const std::vector<RankEnd> ranks{rank_end(0), rank_end(1)};
    EXPECT_FALSE(end_of_company(ranks));
}

TEST(EndOfCompany, NamesTheRankThatHungAndWhereTheOthersWaited) {
    auto hung = gone(2, device::Ending::kTimedOut, "no answer within 12 s");
    hung.last_word = "all_reduce number 17";
    const auto end = end_of_company(std::vector<RankEnd>{waits(0, 18), waits(1, 18), hung});
    ASSERT_TRUE(end);
    EXPECT_EQ(end->outcome, Outcome::kTimedOut);
    EXPECT_EQ(end->message,
              "rank 2 (simulated:2): no answer within 12 s, last seen at all_reduce number 17; "
              "ranks 0, 1 waited in all_reduce number 18");
}

TEST(EndOfCompany, ARankThatDiedIsACrash) {
    const auto end = end_of_company(
        std::vector<RankEnd>{gone(0, device::Ending::kCrashed, "killed by signal 9"), waits(1, 3)});
    ASSERT_TRUE(end);
    EXPECT_EQ(end->outcome, Outcome::kCrashed);
    EXPECT_THAT(end->message, HasSubstr("rank 0 (simulated:0): killed by signal 9"));
}

TEST(EndOfCompany, WhereAllLiveTheOneThatCameLeastFarIsNamed) {
    const auto end =
        end_of_company(std::vector<RankEnd>{waits(0, 6), waits(1, 5), waits(2, 6), waits(3, 6)});
    ASSERT_TRUE(end);
    EXPECT_EQ(end->outcome, Outcome::kTimedOut);
    EXPECT_EQ(end->message,
              "rank 1 (simulated:1) had come only to all_reduce number 5; ranks 0, 2, 3 waited in "
              "all_reduce number 6");
}

TEST(EndOfCompany, WhereAllCameEquallyFarTheNetworkIsNamed) {
    const auto end = end_of_company(std::vector<RankEnd>{waits(0, 6), waits(1, 6)});
    ASSERT_TRUE(end);
    EXPECT_THAT(end->message, HasSubstr("the network between them"));
}

TEST(EndOfCompany, ARankThatRaisedExplainsWhyOthersWaited) {
    // The check gets the error and says what it means.
    const std::vector<RankEnd> ranks{waits(0, 6), gone(1, device::Ending::kError, "link error")};
    EXPECT_FALSE(end_of_company(ranks));
}

}  // namespace
}  // namespace ascertain::qualification
