#include "predict/goodput/growth.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace ascertain::goodput {
namespace {

const Uncertain kOutstanding{2.0, 7.0, 35.0, Kind::kPublished, "logs"};
const Uncertain kRate{0.05, 0.05, 0.05, Kind::kGiven, "test"};

TEST(Growth, NothingLookedForLeavesTheBelief) {
    const Uncertain left = defects_left(kOutstanding, kRate, {0.0, 1e-9, 1.0});
    EXPECT_NEAR(left.low, 2.0, 0.2);
    EXPECT_NEAR(left.mid, 7.0, 0.2);
    EXPECT_NEAR(left.high, 35.0, 2.0);
}

// A nearly certain N: what is left is N e^(-bT), whatever was found.
TEST(Growth, GoelOkumotoMeanForAKnownNumber) {
    const Uncertain known{10.0, 10.0, 10.0, Kind::kGiven, "test"};
    const Uncertain left = defects_left(known, kRate, {4.0, 20.0, 1.0});
    EXPECT_NEAR(left.mid, 10.0 * std::exp(-1.0), 1e-9);
}

TEST(Growth, ManyFindingsMeanManyMoreFewMeanFew) {
    const auto after = [](double found) {
        return defects_left(kOutstanding, kRate, {found, 20.0, 1.0}).mid;
    };
    EXPECT_LT(after(0.0), after(4.0));
    EXPECT_LT(after(4.0), after(20.0));
    EXPECT_LT(after(0.0), 7.0 * std::exp(-1.0));
}

// Exhaustive looking with a known pace ends with nothing left, and then findings do not matter.
TEST(Growth, LongLookingLeavesNothing) {
    EXPECT_LT(defects_left(kOutstanding, kRate, {12.0, 1000.0, 1.0}).high, 1e-6);
}

// A rung that reaches half of the defects can halve them at best.
TEST(Growth, WhatARungCannotReachStays) {
    const Uncertain known{10.0, 10.0, 10.0, Kind::kGiven, "test"};
    EXPECT_NEAR(defects_left(known, kRate, {5.0, 1e4, 0.5}).mid, 5.0, 1e-9);
    EXPECT_NEAR(defects_left(known, kRate, {0.0, 1e4, 0.0}).mid, 10.0, 1e-9);
}

TEST(Growth, RefusesNonsense) {
    EXPECT_FALSE(validate(DefectFindings{-1.0, 1.0, 1.0}).ok());
    EXPECT_FALSE(validate(DefectFindings{1.0, 0.0, 1.0}).ok());
    EXPECT_FALSE(validate(DefectFindings{1.0, 1.0, 1.5}).ok());
    EXPECT_FALSE(validate(DefectFindings{std::nan(""), 1.0, 1.0}).ok());
    EXPECT_TRUE(validate(DefectFindings{}).ok());
}

}  // namespace
}  // namespace ascertain::goodput
