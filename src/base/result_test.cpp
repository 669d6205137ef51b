#include "base/result.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace ascertain {
namespace {

TEST(Result, HoldsEitherAValueOrTheReasonWhyThereIsNone) {
    const Result<int> good(7);
    EXPECT_TRUE(good.ok());
    EXPECT_EQ(*good, 7);
    const Result<int> bad(Error{ErrorCode::kBadInput, "no number", "file.toml:3:1"});
    EXPECT_FALSE(bad);
    EXPECT_EQ(bad.error().text(), "file.toml:3:1: no number");
}

TEST(Result, MovesItsValueOut) {
    Result<std::unique_ptr<int>> owner(std::make_unique<int>(3));
    const std::unique_ptr<int> taken = *std::move(owner);
    EXPECT_EQ(*taken, 3);
}

TEST(ResultDeathTest, AskingAFailedResultForItsValueIsABug) {
    const Result<int> bad(Error{ErrorCode::kBadInput, "x", ""});
    EXPECT_DEATH(static_cast<void>(bad.value()), "internal error: ok\\(\\)");
}

}  // namespace
}  // namespace ascertain
