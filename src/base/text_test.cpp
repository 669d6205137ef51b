#include "base/text.hpp"

#include <gtest/gtest.h>

namespace ascertain {
namespace {

TEST(NearMatches, SuggestsTheNearestFirst) {
    const std::vector<std::string> names{"hidden_size", "vocab_size", "num_hidden_layers"};
    EXPECT_EQ(near_matches("hiden_size", names).front(), "hidden_size");
    EXPECT_TRUE(near_matches("completely_else", names).empty());
    EXPECT_EQ(did_you_mean("vocab_sise", names), "; did you mean \"vocab_size\"?");
}

TEST(Shortened, NeverCutsInsideACharacter) {
    EXPECT_EQ(shortened("abcdef", 6), "abcdef");
    EXPECT_EQ(shortened("ab\xc3\xa9"
                        "cdef",
                        6),
              "ab...");
}

TEST(Wildcard, StarStandsForAnyRun) {
    EXPECT_TRUE(matches_wildcard("ops.numerics.mm", "ops.*"));
    EXPECT_TRUE(matches_wildcard("ops.numerics.mm", "*.mm"));
    EXPECT_TRUE(matches_wildcard("ops.numerics.mm", "ops.*.mm"));
    EXPECT_FALSE(matches_wildcard("ops.numerics.mm", "trial.*"));
    EXPECT_FALSE(matches_wildcard("ops", "ops.*"));
}

TEST(ShortHash, EqualsThePublishedFnvValue) {
    // FNV-1a 64 of "a", from the authors' test vectors.
    EXPECT_EQ(short_hash("a"), "af63dc4c8601ec8c");
}

}  // namespace
}  // namespace ascertain
