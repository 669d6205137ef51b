#include "app/prove/limits.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "defects/read.hpp"

namespace ascertain::app {
namespace {

TEST(Bisect, ClosesInOnTheSizeFromBothSides) {
    int asked = 0;
    const Bisection found = bisect(1e-1, 1e-7, false, 5, [&](double size) {
        ++asked;
        return std::optional(size >= 3e-4);
    });
    ASSERT_TRUE(found.seen && found.not_seen);
    EXPECT_GE(*found.seen, 3e-4);
    EXPECT_LT(*found.not_seen, 3e-4);
    // Six decades, halved five times: 10^(6 / 32).
    EXPECT_NEAR(*found.seen / *found.not_seen, std::pow(10.0, 6.0 / 32.0), 1e-9);
    EXPECT_EQ(asked, 7);
}

TEST(Bisect, OfWholeNumbersStopsAtNeighbours) {
    const Bisection found =
        bisect(3, 23, true, 20, [](double bits) { return std::optional(bits <= 11.0); });
    EXPECT_EQ(found.seen, 11.0);
    EXPECT_EQ(found.not_seen, 12.0);
}

TEST(Bisect, AsksNoFurtherWhereAnEndDecides) {
    int asked = 0;
    const auto never = [&](double) {
        ++asked;
        return std::optional(false);
    };
    EXPECT_FALSE(bisect(1.0, 1e-3, false, 5, never).seen);
    EXPECT_EQ(asked, 1);
    const Bisection always =
        bisect(1.0, 1e-3, false, 5, [](double) { return std::optional(true); });
    EXPECT_EQ(always.seen, 1e-3);
    EXPECT_FALSE(always.not_seen);
    EXPECT_TRUE(
        bisect(1.0, 1e-3, false, 5, [](double) { return std::optional<bool>(); }).interrupted);
}

TEST(FaultKinds, EachIsADefectFileAtBothEnds) {
    for (const FaultKind& kind : fault_kinds()) {
        for (const double size : {kind.gross, kind.fine}) {
            const auto read = defects::read_defects(document_of(kind, size), "limit.toml", {});
            EXPECT_TRUE(read) << kind.size << ": " << (read ? "" : read.error().text()) << "\n"
                              << document_of(kind, size);
        }
    }
}

}  // namespace
}  // namespace ascertain::app
