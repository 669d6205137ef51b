#include "measure/qualification/lane.hpp"

#include <gtest/gtest.h>

#include "measure/qualification/filter.hpp"

namespace ascertain::qualification {
namespace {

// Two operators of the family "numerics", then one item of "repeat".
Plan three_items() {
    Plan plan;
    for (const char* id : {"ops.numerics.mm", "ops.numerics.add", "ops.repeat.mm"}) {
        Item item;
        item.definition = checks::find(id);
        item.id = id;
        item.device = "cpu";
        item.has_control = true;
        plan.items.push_back(item);
    }
    return plan;
}

Attempt attempt(const char* check, Role role, Outcome outcome, Opinion opinion = Opinion::kGood) {
    Attempt one;
    one.check = check;
    one.device = "cpu";
    one.role = role;
    one.outcome = outcome;
    one.opinion = opinion;
    return one;
}

std::string next(const std::vector<Attempt>& attempts) {
    const Plan plan = three_items();
    const auto move = next_move(plan, {0, 1, 2}, attempts);
    if (!move) return "finished";
    return plan.items[move->item].id + " " + std::string(name_of(move->role)) + " " +
           std::to_string(move->number);
}

constexpr auto kMm = "ops.numerics.mm";
constexpr auto kAdd = "ops.numerics.add";

TEST(NextMove, MeasuresThenControlsTheFamilyThenGoesOn) {
    std::vector<Attempt> done;
    EXPECT_EQ(next(done), "ops.numerics.mm measure 1");
    done.push_back(attempt(kMm, Role::kMeasure, Outcome::kCompleted));
    EXPECT_EQ(next(done), "ops.numerics.mm control 1");
    done.push_back(attempt(kMm, Role::kControl, Outcome::kCompleted, Opinion::kSuspect));
    EXPECT_EQ(next(done), "ops.numerics.mm control_clean 1");
    done.push_back(attempt(kMm, Role::kControlClean, Outcome::kCompleted));
    EXPECT_EQ(next(done), "ops.numerics.add measure 1");
    done.push_back(attempt(kAdd, Role::kMeasure, Outcome::kCompleted));
    EXPECT_EQ(next(done), "ops.repeat.mm measure 1");  // another family, another control
}

TEST(NextMove, ASuspectIsConfirmedOnceAndGivesNoControl) {
    std::vector<Attempt> done{attempt(kMm, Role::kMeasure, Outcome::kCompleted, Opinion::kSuspect)};
    EXPECT_EQ(next(done), "ops.numerics.mm confirm 1");
    done.push_back(attempt(kMm, Role::kConfirm, Outcome::kCompleted, Opinion::kSuspect));
    EXPECT_EQ(next(done), "ops.numerics.add measure 1");
    done.push_back(attempt(kAdd, Role::kMeasure, Outcome::kCompleted));
    EXPECT_EQ(next(done), "ops.numerics.add control 1");  // the first good one
}

TEST(NextMove, AnOperatorThatRaisedIsConfirmed) {
    const std::vector<Attempt> done{attempt(kMm, Role::kMeasure, Outcome::kDeviceError)};
    EXPECT_EQ(next(done), "ops.numerics.mm confirm 1");
}

TEST(NextMove, WhatBrokeIsTriedAgainAfterTheControlOfItsFamily) {
    std::vector<Attempt> done{attempt(kMm, Role::kMeasure, Outcome::kTimedOut)};
    EXPECT_EQ(next(done), "ops.numerics.add measure 1");
    done.push_back(attempt(kAdd, Role::kMeasure, Outcome::kCompleted));
    done.push_back(attempt(kAdd, Role::kControl, Outcome::kCompleted, Opinion::kSuspect));
    done.push_back(attempt(kAdd, Role::kControlClean, Outcome::kCompleted));
    EXPECT_EQ(next(done), "ops.numerics.mm measure 2");
    done.push_back(attempt(kMm, Role::kMeasure, Outcome::kTimedOut));
    done.back().number = 2;
    EXPECT_EQ(next(done), "ops.repeat.mm measure 1");  // twice is enough
}

TEST(NextMove, WithoutAGoodOneTheBrokenOnesOwnTwinStandsIn) {
    std::vector<Attempt> done{attempt(kMm, Role::kMeasure, Outcome::kCrashed),
                              attempt(kAdd, Role::kMeasure, Outcome::kUnsupported)};
    EXPECT_EQ(next(done), "ops.numerics.mm control_clean 1");
    done.push_back(attempt(kMm, Role::kControlClean, Outcome::kCrashed));
    EXPECT_EQ(next(done), "ops.numerics.mm measure 2");
}

TEST(NextMove, ABrokenReferenceIsWorthAnotherTry) {
    std::vector<Attempt> done{attempt(kMm, Role::kMeasure, Outcome::kHarnessError),
                              attempt(kAdd, Role::kMeasure, Outcome::kNoReference)};
    EXPECT_EQ(next(done), "ops.repeat.mm measure 1");  // our own fault repeats itself
    done[0].reference_failed = true;
    EXPECT_EQ(next(done), "ops.numerics.mm control_clean 1");
}

TEST(NextMove, AControlThatBrokeIsRunOnceMore) {
    std::vector<Attempt> done{attempt(kMm, Role::kMeasure, Outcome::kCompleted),
                              attempt(kMm, Role::kControl, Outcome::kCrashed)};
    EXPECT_EQ(next(done), "ops.numerics.mm control 2");
    done.push_back(attempt(kMm, Role::kControl, Outcome::kCrashed));
    done.back().number = 2;
    EXPECT_EQ(next(done), "ops.numerics.mm control_clean 1");
}

TEST(NextMove, ASkipSettlesAnItemForThisSessionOnly) {
    std::vector<Attempt> done{attempt(kMm, Role::kMeasure, Outcome::kSkipped)};
    EXPECT_EQ(next(done), "ops.numerics.add measure 1");
    done[0].earlier = true;
    EXPECT_EQ(next(done), "ops.numerics.mm measure 2");  // numbers go on where they ended
}

TEST(NextMove, AResumedRunGoesOnBetweenAControlAndItsTwin) {
    std::vector<Attempt> done{attempt(kMm, Role::kMeasure, Outcome::kCompleted),
                              attempt(kMm, Role::kControl, Outcome::kCompleted, Opinion::kSuspect)};
    for (Attempt& one : done) one.earlier = true;
    EXPECT_EQ(next(done), "ops.numerics.mm control_clean 1");
}

}  // namespace
}  // namespace ascertain::qualification
