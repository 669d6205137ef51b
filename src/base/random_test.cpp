#include "base/random.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace ascertain {
namespace {

TEST(Philox, EqualsThePublishedKnownAnswers) {
    // Random123's kat_vectors for philox4x32, 10 rounds.
    const auto zeros = philox4x32({0, 0, 0, 0}, {0, 0});
    EXPECT_EQ(zeros,
              (std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
    const auto ones =
        philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff});
    EXPECT_EQ(ones, (std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(Random, StreamsOfOneSeedDiffer) {
    Random a(1, 0);
    Random b(1, 1);
    Random again(1, 0);
    const auto first = a.next_u64();
    EXPECT_EQ(first, again.next_u64());
    EXPECT_NE(first, b.next_u64());
}

TEST(Random, MomentsAreThoseOfTheDistributions) {
    // n = 200,000: standard error of a mean of unit variance is 0.0022; five of them are allowed.
    constexpr int kCount = 200'000;
    Random random(7, 3);
    double normal = 0;
    double square = 0;
    double exponential = 0;
    for (int i = 0; i < kCount; ++i) {
        const double z = random.normal();
        normal += z;
        square += z * z;
        exponential += random.exponential();
    }
    EXPECT_NEAR(normal / kCount, 0.0, 0.0112);
    EXPECT_NEAR(square / kCount, 1.0, 0.0158);  // variance of z^2 is 2
    EXPECT_NEAR(exponential / kCount, 1.0, 0.0112);
}

TEST(Random, BelowStaysBelowAndReachesEveryValue) {
    Random random(1, 1);
    std::array<int, 5> seen{};
    for (int i = 0; i < 1000; ++i) ++seen.at(random.below(5));
    for (const int count : seen) EXPECT_GT(count, 100);  // expected 200, sd 12.6
}

}  // namespace
}  // namespace ascertain
