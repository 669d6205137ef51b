#include "worker/collectives/diagnosis.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace ascertain::collectives {
namespace {

Payload payload_of(Kind kind, int ranks, std::int64_t limit = 256) {
    Payload payload;
    payload.kind = kind;
    payload.seed = 5;
    payload.ranks = ranks;
    payload.elements = 64;
    payload.exact_limit = limit;
    payload.element_bytes = 2;
    return payload;
}

std::vector<double> right_sum(const Payload& payload, std::int64_t iteration, int rank) {
    const auto sums = reduced(payload, iteration, rank);
    return {sums.begin(), sums.end()};
}

// The sum with what one rank contributed counted `times` times.
std::vector<double> with_share(const Payload& payload, std::int64_t iteration, int culprit,
                               double times) {
    auto sum = right_sum(payload, iteration, 0);
    for (std::size_t i = 0; i < sum.size(); ++i) {
        sum[i] +=
            (times - 1.0) * contribution(payload, iteration, culprit, static_cast<std::int64_t>(i));
    }
    return sum;
}

TEST(Payload, EveryPartialSumIsExactInItsDtype) {
    // 2^8 in bf16 and 2^11 in fp16 are where whole numbers begin to be left out.
    for (const std::int64_t limit : {std::int64_t{256}, std::int64_t{2048}}) {
        for (const int ranks : {2, 7, 255, 256, 257, 3000}) {
            const Payload payload = payload_of(Kind::kAllReduce, ranks, limit);
            const auto sums = reduced(payload, 3, 0);
            EXPECT_LE(*std::ranges::max_element(sums), limit) << ranks;
            EXPECT_GT(*std::ranges::max_element(sums), 0) << ranks;
        }
    }
}

TEST(Payload, RanksAndIterationsDiffer) {
    const Payload payload = payload_of(Kind::kAllToAll, 4);
    EXPECT_NE(piece(payload, 0, 1, 2), piece(payload, 0, 2, 2));
    EXPECT_NE(piece(payload, 0, 1, 2), piece(payload, 1, 1, 2));
    EXPECT_NE(piece(payload, 0, 1, 2), piece(payload, 0, 1, 3));
    EXPECT_EQ(piece(payload, 0, 1, 2), piece(payload, 0, 1, 2));
}

TEST(DiagnoseSum, SaysNothingOfARightOne) {
    for (const Kind kind : {Kind::kAllReduce, Kind::kReduceScatter}) {
        const Payload payload = payload_of(kind, 4);
        EXPECT_TRUE(diagnose_sum(payload, 1, 2, right_sum(payload, 1, 2)).empty());
    }
}

TEST(DiagnoseSum, NamesTheRankThatIsMissingOrThereTwice) {
    const Payload payload = payload_of(Kind::kAllReduce, 8);
    for (int culprit = 0; culprit < 8; ++culprit) {
        const auto missing = diagnose_sum(payload, 1, 0, with_share(payload, 1, culprit, 0.0));
        ASSERT_EQ(missing.size(), 1U);
        EXPECT_EQ(missing[0].what, "missing");
        EXPECT_EQ(missing[0].culprit, culprit);
        const auto twice = diagnose_sum(payload, 1, 0, with_share(payload, 1, culprit, 2.0));
        ASSERT_EQ(twice.size(), 1U);
        EXPECT_EQ(twice[0].what, "twice");
        EXPECT_EQ(twice[0].culprit, culprit);
    }
}

TEST(DiagnoseSum, NamesTheRankThatSentTheTimeBefore) {
    const Payload payload = payload_of(Kind::kAllReduce, 5);
    auto sum = right_sum(payload, 4, 0);
    for (std::size_t i = 0; i < sum.size(); ++i) {
        const auto at = static_cast<std::int64_t>(i);
        sum[i] += contribution(payload, 3, 2, at) - contribution(payload, 4, 2, at);
    }
    const auto found = diagnose_sum(payload, 4, 0, sum);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].what, "stale");
    EXPECT_EQ(found[0].culprit, 2);
}

TEST(DiagnoseSum, TellsAnOldResultFromItsOwnShareFromAScaledOne) {
    const Payload payload = payload_of(Kind::kAllReduce, 4);
    EXPECT_EQ(diagnose_sum(payload, 2, 1, right_sum(payload, 1, 1))[0].what, "old_result");
    std::vector<double> own;
    for (std::int64_t i = 0; i < payload.elements; ++i) {
        own.push_back(contribution(payload, 2, 1, i));
    }
    EXPECT_EQ(diagnose_sum(payload, 2, 1, own)[0].what, "own_only");
    auto scaled = right_sum(payload, 2, 1);
    for (double& value : scaled) value *= 0.35;
    EXPECT_EQ(diagnose_sum(payload, 2, 1, scaled)[0].what, "scaled");
}

TEST(DiagnoseSum, GivesTheBytesOfOneFlippedElement) {
    const Payload payload = payload_of(Kind::kAllReduce, 4);
    auto sum = right_sum(payload, 0, 0);
    sum[7] += 5000.0;
    const auto found = diagnose_sum(payload, 0, 0, sum);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].byte_begin, 14);
    EXPECT_EQ(found[0].byte_end, 16);
    EXPECT_EQ(found[0].wrong, 1);
    EXPECT_EQ(found[0].what, "corrupt");
    EXPECT_EQ(found[0].culprit, -1);
}

std::vector<std::uint8_t> right_move(const Payload& payload, std::int64_t iteration, int rank) {
    std::vector<std::uint8_t> all;
    for (const int from : senders(payload, rank)) {
        const auto part = piece(payload, iteration, from, rank);
        all.insert(all.end(), part.begin(), part.end());
    }
    return all;
}

TEST(DiagnoseMove, NamesTheSenderAndTheBytes) {
    const Payload payload = payload_of(Kind::kAllGather, 3);
    auto got = right_move(payload, 1, 0);
    EXPECT_TRUE(diagnose_move(payload, 1, 0, got).empty());
    got[128 + 9] ^= 1U;  // a piece is 64 elements of 2 bytes: this is in the one of rank 1
    const auto found = diagnose_move(payload, 1, 0, got);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].culprit, 1);
    EXPECT_EQ(found[0].byte_begin, 137);
    EXPECT_EQ(found[0].byte_end, 138);
    EXPECT_EQ(found[0].what, "corrupt");
}

TEST(DiagnoseMove, TellsWhosePieceLiesInAnothersPlace) {
    const Payload payload = payload_of(Kind::kAllToAll, 4);
    auto got = right_move(payload, 1, 3);
    std::ranges::rotate(got, got.begin() + 128);
    const auto found = diagnose_move(payload, 1, 3, got);
    ASSERT_EQ(found.size(), 4U);
    for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(found[i].what, "order");
        EXPECT_EQ(found[i].culprit, static_cast<int>((i + 1) % 4));
    }
}

TEST(DiagnoseMove, TellsStaleFromMissing) {
    const Payload payload = payload_of(Kind::kSendRecv, 3);
    EXPECT_EQ(diagnose_move(payload, 1, 0, right_move(payload, 0, 0))[0].what, "stale");
    const std::vector<std::uint8_t> nothing(128, 0);
    EXPECT_EQ(diagnose_move(payload, 1, 0, nothing)[0].what, "zeros");
    EXPECT_EQ(diagnose_move(payload, 1, 0, nothing)[0].culprit, 2);
    // Nothing at all is not right either.
    EXPECT_EQ(diagnose_move(payload, 1, 0, {})[0].wrong, 64);
}

}  // namespace
}  // namespace ascertain::collectives
