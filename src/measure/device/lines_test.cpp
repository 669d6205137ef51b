#include "measure/device/lines.hpp"

#include <gtest/gtest.h>

namespace ascertain::device {
namespace {

TEST(Lines, PutsALineTogetherFromItsPieces) {
    Lines lines(100);
    lines.append("he");
    EXPECT_FALSE(lines.next().has_value());
    lines.append("llo\nwor");
    EXPECT_EQ(lines.next(), "hello");
    EXPECT_FALSE(lines.next().has_value());
    lines.append("ld\n\n");
    EXPECT_EQ(lines.next(), "world");
    EXPECT_EQ(lines.next(), "");
    EXPECT_EQ(lines.pending_bytes(), 0u);
}

TEST(Lines, TakesALineOfExactlyTheLimitAndRefusesOneMore) {
    Lines fits(4);
    fits.append("abcd\n");
    EXPECT_EQ(fits.next(), "abcd");
    Lines too_long(4);
    too_long.append("abcde\n");
    EXPECT_FALSE(too_long.next().has_value());
    EXPECT_TRUE(too_long.overflowed());
}

TEST(Lines, OverflowsBeforeTheLineEnds) {
    // A flood has no '\n'; waiting for one would fill the memory.
    Lines lines(4);
    lines.append("abcde");
    EXPECT_FALSE(lines.next().has_value());
    EXPECT_TRUE(lines.overflowed());
}

TEST(Lines, StaysOverflowed) {
    Lines lines(2);
    lines.append("abc");
    EXPECT_FALSE(lines.next().has_value());
    lines.append("\nok\n");
    EXPECT_FALSE(lines.next().has_value());
    EXPECT_TRUE(lines.overflowed());
}

}  // namespace
}  // namespace ascertain::device
