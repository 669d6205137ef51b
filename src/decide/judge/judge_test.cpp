#include "decide/judge/judge.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "decide/judge/scenario.hpp"

namespace ascertain::judge {
namespace {

using evidence::Outcome;
using evidence::Role;
using testing::Contains;
using testing::Field;
using testing::HasSubstr;
using testing_scenario::attempt;
using testing_scenario::chained;
using testing_scenario::context_entry;
using testing_scenario::Entry;
using testing_scenario::entry;
using testing_scenario::healthy;
using testing_scenario::judged;
using testing_scenario::kNow;
using testing_scenario::Plan;
using testing_scenario::simple_criteria;

// The healthy run with something changed: entries of `check` in `role` are replaced.
std::vector<Entry> with(const Plan& plan, std::string_view check, Role role,
                        const std::vector<evidence::Attempt>& instead) {
    std::vector<Entry> entries;
    for (const auto& item : healthy(plan)) {
        const bool meant = item.kind == "attempt" && item.body["check"] == check &&
                           item.body["role"] == name_of(role);
        if (!meant) {
            entries.push_back(item);
            continue;
        }
        for (auto made : instead) {
            made.device = plan.device;
            entries.push_back(entry(made));
        }
    }
    return entries;
}

std::vector<Entry> measured_as(const std::vector<evidence::Attempt>& instead) {
    return with(Plan{}, "ops.numerics.mm", Role::kMeasure, instead);
}

evidence::Attempt ended(Outcome outcome, int number) {
    auto made = attempt("ops.numerics.mm", Role::kMeasure, 0.5);
    made.outcome = outcome;
    made.number = number;
    made.observation.clear();
    made.message = "why";
    return made;
}

const CheckVerdict& check_of(const Verdict& verdict, std::string_view id) {
    const auto found = std::ranges::find(verdict.checks, id, &CheckVerdict::id);
    EXPECT_NE(found, verdict.checks.end()) << id;
    return *found;
}

Status status_of_mm(const Verdict& verdict) {
    return check_of(verdict, "ops.numerics.mm").status;
}

auto blocker_saying(std::string_view text) {
    return Contains(Field(&Blocker::reason, HasSubstr(std::string(text))));
}

TEST(Judge, AHealthyStandardRunOnOneChipIsQualifiedForThatRungUntilADate) {
    const auto verdict = judged(healthy(Plan{}));
    EXPECT_EQ(verdict.verdict, VerdictWord::kQualified)
        << (verdict.blockers.empty() ? "" : verdict.blockers.front().reason);
    EXPECT_TRUE(verdict.blockers.empty());
    EXPECT_EQ(verdict.scope.rung, "device");
    // 2026-11-24 and ninety days.
    EXPECT_EQ(verdict.scope.valid_until, "2027-02-22");
    // Four measurements and four controls of one second on one device.
    EXPECT_DOUBLE_EQ(verdict.scope.hours, 8.0 / 3600.0);
    EXPECT_EQ(verdict.next_rung.rung, "node");
    // Eight chips for a day.
    EXPECT_DOUBLE_EQ(*verdict.next_rung.device_hours, 192.0);
    EXPECT_EQ(check_of(verdict, "ops.numerics.add").proof, "control");
    EXPECT_EQ(verdict.learn.status, "PASS");
    EXPECT_EQ(verdict.serve.status, "NOT_ASKED");
}

TEST(Judge, ARungIsSpokenOfOnlyWhenItsDevicesAndTheirLinksWereUnderTest) {
    Plan plan;
    plan.rung = "node";
    EXPECT_THAT(judged(healthy(plan)).blockers,
                blocker_saying("the node rung of this campaign has 8 devices, 1 was under test"));
    plan.campaign["fleets"][0]["chips_per_node"] = 1;
    EXPECT_THAT(judged(healthy(plan)).blockers, blocker_saying("required of the links"));
    plan.checks.push_back({"links.allreduce", "npu:0", "endure", "trial", true, false, true, 1.0});
    const auto whole = judged(healthy(plan));
    EXPECT_EQ(whole.verdict, VerdictWord::kQualified)
        << (whole.blockers.empty() ? "" : whole.blockers.front().reason);
    plan.rung = "domain";
    EXPECT_THAT(judged(healthy(plan)).blockers, blocker_saying("does not say how many devices"));
}

TEST(Judge, TheNextRungNamesWhatWasForetoldOfItAndIsStillOpen) {
    auto entries = healthy(Plan{});
    evidence::Prediction open;
    open.id = "rung.node.bandwidth.tp";
    open.device = "8 x ascend-910b2";
    open.metric = "bus bandwidth";
    open.value = 1.5e11;
    open.low = 1e11;
    open.high = 2e11;
    open.unit = "B/s";
    entries.insert(entries.begin() + 2, {"prediction", evidence::to_json(open)});
    open.id = "rung.fleet.step";
    entries.insert(entries.begin() + 2, {"prediction", evidence::to_json(open)});
    const auto settles = judged(entries).next_rung.settles;
    EXPECT_THAT(settles, Contains(HasSubstr("between 1e+11 and 2e+11 B/s")));
    EXPECT_EQ(std::ranges::count_if(
                  settles, [](const auto& one) { return one.find("foretold") != one.npos; }),
              1);
}

TEST(Judge, AnExplainedMissOfAPredictionBlocksNoMore) {
    auto missed = attempt("speed.mm", Role::kMeasure, 0.9);
    const auto entries = with(Plan{}, "speed.mm", Role::kMeasure, {missed});
    EXPECT_EQ(judged(entries).verdict, VerdictWord::kInconclusive);
    EXPECT_THAT(judged(entries).blockers, blocker_saying("foretold to lie between"));
    const Waiver explained{"speed.mm.value", "someone", "2026-12-31", "the clock was capped"};
    const auto verdict = judged(entries, {explained});
    EXPECT_EQ(verdict.verdict, VerdictWord::kQualified);
    EXPECT_EQ(verdict.waivers.size(), 1u);
    EXPECT_EQ(judged(entries, {{"speed.*", "someone", "2026-12-31", "all of it"}}).verdict,
              VerdictWord::kInconclusive)
        << "a miss is explained one by one";
}

TEST(Judge, AnswersTakenOverAreNoYoungerForIt) {
    auto old = attempt("ops.numerics.add", Role::kMeasure, 0.5);
    old.started_utc = "2026-10-01T00:00:00Z";
    old.detail["reused"] = {{"evidence_head", std::string(64, 'a')}, {"record", "r000007"}};
    auto entries = with(Plan{}, "ops.numerics.add", Role::kMeasure, {old});
    entries.insert(entries.begin() + 2, {"reused", Json{{"evidence_head", std::string(64, 'a')}}});
    const auto verdict = judged(entries);
    EXPECT_EQ(verdict.verdict, VerdictWord::kQualified)
        << (verdict.blockers.empty() ? "" : verdict.blockers.front().reason);
    // 2026-10-01 and ninety days.
    EXPECT_EQ(verdict.scope.valid_until, "2026-12-30");
    old.started_utc = "2026-08-01T00:00:00Z";
    EXPECT_THAT(judged(with(Plan{}, "ops.numerics.add", Role::kMeasure, {old})).blockers,
                blocker_saying("more than 90 days old"));
}

TEST(Judge, QuickCannotQualifyButCanDisqualify) {
    Plan plan;
    plan.profile = "quick";
    const auto good = judged(healthy(plan));
    EXPECT_EQ(good.verdict, VerdictWord::kInconclusive);
    EXPECT_THAT(good.blockers, blocker_saying("quick profile screens"));
    auto confirm = attempt("ops.numerics.mm", Role::kConfirm, 5);
    const auto bad = judged(with(plan, "ops.numerics.mm", Role::kMeasure,
                                 {attempt("ops.numerics.mm", Role::kMeasure, 5), confirm}));
    EXPECT_EQ(bad.verdict, VerdictWord::kNotQualified);
}

TEST(Judge, ABoundMissedOnTwoSeedsIsFailed) {
    const auto verdict = judged(measured_as({attempt("ops.numerics.mm", Role::kMeasure, 5),
                                             attempt("ops.numerics.mm", Role::kConfirm, 6)}));
    EXPECT_EQ(status_of_mm(verdict), Status::kFailed);
    EXPECT_EQ(verdict.verdict, VerdictWord::kNotQualified);
    EXPECT_EQ(verdict.blockers.front().check, "ops.numerics.mm");
    EXPECT_THAT(verdict.blockers.front().reason, HasSubstr("value is 5, above 1"));
    EXPECT_THAT(verdict.blockers.front().remedy, HasSubstr("vendor"));
    EXPECT_EQ(verdict.compute.status, "FAIL");
    EXPECT_EQ(verdict.learn.status, "PASS");
}

TEST(Judge, ABoundMissedOnceIsMistrustedUntilConfirmedOnAnotherSeed) {
    const auto once = judged(measured_as({attempt("ops.numerics.mm", Role::kMeasure, 5)}));
    EXPECT_EQ(status_of_mm(once), Status::kMistrusted);
    EXPECT_EQ(once.verdict, VerdictWord::kInconclusive);
    auto same_seed = attempt("ops.numerics.mm", Role::kConfirm, 5);
    same_seed.seed = 1;
    EXPECT_EQ(status_of_mm(
                  judged(measured_as({attempt("ops.numerics.mm", Role::kMeasure, 5), same_seed}))),
              Status::kMistrusted);
}

TEST(Judge, AnAnswerThatChangesIsFlakyAndFailsNumericsButNotTiming) {
    const auto numerics = judged(measured_as({attempt("ops.numerics.mm", Role::kMeasure, 5),
                                              attempt("ops.numerics.mm", Role::kConfirm, 0.5)}));
    EXPECT_EQ(status_of_mm(numerics), Status::kFlaky);
    EXPECT_EQ(numerics.verdict, VerdictWord::kNotQualified);
    Plan timing;
    timing.checks[0].timing = true;
    const auto slow = judged(with(timing, "ops.numerics.mm", Role::kMeasure,
                                  {attempt("ops.numerics.mm", Role::kMeasure, 5),
                                   attempt("ops.numerics.mm", Role::kConfirm, 0.5)}));
    EXPECT_EQ(status_of_mm(slow), Status::kFlaky);
    EXPECT_EQ(slow.verdict, VerdictWord::kInconclusive);
}

TEST(Judge, AnOperatorThatRaisesTwiceIsFailed) {
    auto confirm = ended(Outcome::kDeviceError, 1);
    confirm.role = Role::kConfirm;
    confirm.seed = 2;
    EXPECT_EQ(status_of_mm(judged(measured_as({ended(Outcome::kDeviceError, 1), confirm}))),
              Status::kFailed);
}

TEST(Judge, AChipThatHangsTwiceWhileTheControlCompletesFails) {
    for (const auto& [outcome, status] : {std::pair{Outcome::kTimedOut, Status::kTimedOut},
                                          {Outcome::kCrashed, Status::kCrashed},
                                          {Outcome::kDeviceLost, Status::kDeviceLost}}) {
        const auto twice = judged(measured_as({ended(outcome, 1), ended(outcome, 2)}));
        EXPECT_EQ(status_of_mm(twice), status);
        EXPECT_EQ(twice.verdict, VerdictWord::kNotQualified);
        const auto once = judged(measured_as({ended(outcome, 1)}));
        EXPECT_EQ(status_of_mm(once), status);
        EXPECT_EQ(once.verdict, VerdictWord::kInconclusive);
        auto then_met = attempt("ops.numerics.mm", Role::kMeasure, 0.5);
        then_met.number = 2;
        EXPECT_EQ(judged(measured_as({ended(outcome, 1), then_met})).verdict,
                  VerdictWord::kInconclusive)
            << "a crash is not forgotten because the next run was well";
    }
}

TEST(Judge, HangingWithoutAControlThatCompletesIsUnknown) {
    std::vector<Entry> entries;
    for (const auto& item :
         measured_as({ended(Outcome::kTimedOut, 1), ended(Outcome::kTimedOut, 2)})) {
        const bool control =
            item.kind == "attempt" && item.body["role"].get<std::string>().starts_with("control");
        if (!control) entries.push_back(item);
    }
    EXPECT_EQ(judged(entries).verdict, VerdictWord::kInconclusive);
}

TEST(Judge, UnsupportedInTheTrainingPathFails) {
    const auto verdict = judged(measured_as({ended(Outcome::kUnsupported, 1)}));
    EXPECT_EQ(status_of_mm(verdict), Status::kUnsupported);
    EXPECT_EQ(verdict.verdict, VerdictWord::kNotQualified);
    Plan serving;
    serving.checks[0].question = "serve";
    EXPECT_EQ(
        judged(with(serving, "ops.numerics.mm", Role::kMeasure, {ended(Outcome::kUnsupported, 1)}))
            .verdict,
        VerdictWord::kInconclusive);
}

TEST(Judge, NoOutcomeButASoundOneIsEverAPass) {
    for (const auto& [outcome, status] : {std::pair{Outcome::kSkipped, Status::kSkipped},
                                          {Outcome::kNoReference, Status::kMistrusted},
                                          {Outcome::kHarnessError, Status::kHarnessError}}) {
        const auto verdict = judged(measured_as({ended(outcome, 1)}));
        EXPECT_EQ(status_of_mm(verdict), status);
        EXPECT_EQ(verdict.verdict, VerdictWord::kInconclusive);
        EXPECT_FALSE(check_of(verdict, "ops.numerics.mm").reason.empty());
    }
    const auto untested = judged(measured_as({}));
    EXPECT_EQ(status_of_mm(untested), Status::kUntested);
    EXPECT_EQ(untested.verdict, VerdictWord::kInconclusive);
}

TEST(Judge, ACheckSkippedInOneSessionAndMeasuredInTheNextPasses) {
    auto later = attempt("ops.numerics.mm", Role::kMeasure, 0.5);
    later.number = 2;
    EXPECT_EQ(status_of_mm(judged(measured_as({ended(Outcome::kSkipped, 1), later}))),
              Status::kPassed);
}

TEST(Judge, AControlThatDoesNotFailMakesItsWholeFamilyMistrusted) {
    const auto verdict = judged(with(Plan{}, "ops.numerics.mm", Role::kControl,
                                     {attempt("ops.numerics.mm", Role::kControl, 0.5)}));
    EXPECT_EQ(status_of_mm(verdict), Status::kMistrusted);
    EXPECT_EQ(check_of(verdict, "ops.numerics.add").status, Status::kMistrusted);
    EXPECT_EQ(check_of(verdict, "trial.forced").status, Status::kPassed);
    EXPECT_EQ(check_of(verdict, "ops.numerics.add").proof, "");
    EXPECT_EQ(verdict.verdict, VerdictWord::kInconclusive);
}

TEST(Judge, ACleanTwinThatFailsOrIsMissingMakesItMistrusted) {
    for (const auto& twin :
         {std::vector<evidence::Attempt>{}, {attempt("ops.numerics.mm", Role::kControlClean, 5)}}) {
        EXPECT_EQ(status_of_mm(judged(with(Plan{}, "ops.numerics.mm", Role::kControlClean, twin))),
                  Status::kMistrusted);
    }
}

TEST(Judge, ARequiredCheckWithNeitherProofNorControlIsMistrusted) {
    Plan plan;
    plan.checks[1].has_control = false;
    const auto verdict = judged(healthy(plan));
    EXPECT_EQ(check_of(verdict, "ops.numerics.add").status, Status::kMistrusted);
    EXPECT_EQ(check_of(verdict, "speed.mm").status, Status::kPassed) << "it is optional";
    EXPECT_EQ(verdict.verdict, VerdictWord::kInconclusive);
}

TEST(Judge, OnTheCpuLearnAnswersAreMistrustedAndNothingIsQualified) {
    Plan plan;
    plan.device = "cpu";
    for (auto& check : plan.checks) check.device = "cpu";
    const auto verdict = judged(healthy(plan));
    EXPECT_EQ(check_of(verdict, "trial.forced").status, Status::kMistrusted);
    EXPECT_EQ(status_of_mm(verdict), Status::kPassed);
    EXPECT_EQ(verdict.verdict, VerdictWord::kInconclusive);
    EXPECT_THAT(verdict.blockers, blocker_saying("no chip of the fleet was under test"));
    EXPECT_EQ(verdict.next_rung.rung, "device");
    EXPECT_DOUBLE_EQ(*verdict.next_rung.device_hours, 0.5);
}

TEST(Judge, TheSimulatedChipRehearsesAndNeverQualifies) {
    Plan plan;
    plan.device = "simulated:0";
    for (auto& check : plan.checks) check.device = "simulated:0";
    const auto verdict = judged(healthy(plan));
    EXPECT_EQ(verdict.verdict, VerdictWord::kInconclusive);
    EXPECT_EQ(verdict.blockers.size(), 1u);
}

// What a command asks alone: its required set holds nothing else.
std::vector<Entry> part_of_a_run(const Plan& plan, const char* part) {
    auto entries = healthy(plan);
    for (auto& item : entries) {
        if (item.kind == "required") item.body["part"] = part;
    }
    return entries;
}

TEST(Judge, APartIsQualifiedForItsDevicesAndNeverClimbsTheLadder) {
    Plan plan;
    plan.device = "simulated:0";
    std::erase_if(plan.checks, [](const auto& check) { return check.question != "compute"; });
    for (auto& check : plan.checks) check.device = plan.device;
    const auto verdict = judged(part_of_a_run(plan, "compute"));
    EXPECT_EQ(verdict.verdict, VerdictWord::kQualified);
    EXPECT_EQ(verdict.scope.part, "compute");
    EXPECT_EQ(verdict.scope.devices, std::vector<std::string>{"simulated:0"});
    EXPECT_EQ(verdict.learn.status, "NOT_ASKED");
    EXPECT_EQ(verdict.serve.status, "NOT_ASKED");
    EXPECT_EQ(verdict.next_rung.rung, "device");
    plan.profile = "quick";
    EXPECT_EQ(judged(part_of_a_run(plan, "compute")).verdict, VerdictWord::kInconclusive);
    plan.profile = "standard";
    plan.left_out = {"ops.numerics.add on simulated:0: left out with --skip"};
    EXPECT_EQ(judged(part_of_a_run(plan, "compute")).verdict, VerdictWord::kInconclusive);
}

TEST(Judge, AnotherChipThanTheFleetsIsNotQualifiedForIt) {
    Plan other;
    other.descriptions[0]["name"] = "Ascend910A";
    const auto verdict = judged(healthy(other));
    EXPECT_EQ(verdict.verdict, VerdictWord::kInconclusive);
    EXPECT_THAT(verdict.blockers, blocker_saying("npu:0 (Ascend910A) is not shown to be a chip"));
    Plan named;  // the catalog knows it under another name
    named.descriptions[0] = Json{{"device", "npu:0"}, {"name", "B"}, {"chip", "ascend-910b2"}};
    named.campaign["fleets"][0]["chip"] = "../chips/ascend-910b2.toml";
    EXPECT_EQ(judged(healthy(named)).verdict, VerdictWord::kQualified);
    Plan contradicted = named;
    contradicted.descriptions[0]["chip"] = "ascend-910a";
    EXPECT_EQ(judged(healthy(contradicted)).verdict, VerdictWord::kInconclusive);
    Plan silent;
    silent.descriptions = Json::array();
    EXPECT_EQ(judged(healthy(silent)).verdict, VerdictWord::kInconclusive);
    Plan fleetless;
    fleetless.campaign = Json::object();
    EXPECT_THAT(judged(healthy(fleetless)).blockers, blocker_saying("names no chip"));
}

TEST(Judge, AMeasurementOutsideItsCalibratedPredictionBlocks) {
    const auto verdict = judged(
        with(Plan{}, "speed.mm", Role::kMeasure, {attempt("speed.mm", Role::kMeasure, 0.9)}));
    EXPECT_EQ(verdict.verdict, VerdictWord::kInconclusive);
    EXPECT_THAT(verdict.blockers, blocker_saying("foretold to lie between 0.25 and 0.75"));
    ASSERT_EQ(verdict.comparisons.size(), 1u);
    EXPECT_TRUE(verdict.comparisons[0].blocks);
    EXPECT_DOUBLE_EQ(*verdict.comparisons[0].measured, 0.9);
}

TEST(Judge, AnUncalibratedPredictionOnlyInforms) {
    auto entries =
        with(Plan{}, "speed.mm", Role::kMeasure, {attempt("speed.mm", Role::kMeasure, 0.9)});
    entries[2].body["calibrated"] = false;
    const auto verdict = judged(entries);
    EXPECT_EQ(verdict.verdict, VerdictWord::kQualified);
    EXPECT_FALSE(verdict.comparisons[0].inside);
}

TEST(Judge, APredictionWrittenAfterItsMeasurementForetoldNothing) {
    auto entries = healthy(Plan{});
    std::rotate(entries.begin() + 2, entries.begin() + 3, entries.end() - 1);
    const auto verdict = judged(entries);
    EXPECT_FALSE(verdict.comparisons[0].inside);
    EXPECT_EQ(verdict.verdict, VerdictWord::kInconclusive);
    EXPECT_THAT(verdict.blockers, blocker_saying("foretold only after"));
}

TEST(Judge, WaiversHoldUntilTheirDateAndAreListed) {
    const auto failing = measured_as({attempt("ops.numerics.mm", Role::kMeasure, 5),
                                      attempt("ops.numerics.mm", Role::kConfirm, 6)});
    const Waiver waiver{"ops.numerics.mm", "A. Person", "2026-11-25", "known, harmless"};
    const auto waived = judged(failing, {waiver});
    EXPECT_EQ(status_of_mm(waived), Status::kWaived);
    EXPECT_EQ(waived.verdict, VerdictWord::kQualified);
    ASSERT_EQ(waived.waivers.size(), 1u);
    EXPECT_THAT(check_of(waived, "ops.numerics.mm").reason, HasSubstr("was FAILED"));
    auto past = waiver;
    past.until = "2026-11-24";
    EXPECT_EQ(judged(failing, {past}).verdict, VerdictWord::kNotQualified);
    auto unsigned_one = waiver;
    unsigned_one.by.clear();
    EXPECT_EQ(judged(failing, {unsigned_one}).verdict, VerdictWord::kNotQualified);
    EXPECT_TRUE(judged(healthy(Plan{}), {waiver}).waivers.empty()) << "it was not needed";
}

TEST(Judge, WhatItDoesNotUnderstandIsInconclusiveWithItsCause) {
    auto unknown = healthy(Plan{});
    unknown.insert(unknown.end() - 1, {"attempt2", Json::object()});
    EXPECT_EQ(judged(unknown).verdict, VerdictWord::kInconclusive);
    EXPECT_THAT(judged(unknown).blockers, blocker_saying("unknown kind \"attempt2\""));
    auto malformed = healthy(Plan{});
    malformed[3].body.erase("seed");
    EXPECT_THAT(judged(malformed).blockers, blocker_saying("r000004 cannot be read"));
    EXPECT_EQ(judged(malformed).verdict, VerdictWord::kInconclusive);
    EXPECT_EQ(judged({}).verdict, VerdictWord::kInconclusive);
    EXPECT_THAT(judged({}).blockers, blocker_saying("nothing was required"));
}

TEST(Judge, AnEmptyOrOptionalRequiredSetShowsNothing) {
    Plan empty;
    empty.checks.clear();
    EXPECT_EQ(judged(healthy(empty)).verdict, VerdictWord::kInconclusive);
    Plan optional;
    for (auto& check : optional.checks) check.required = false;
    EXPECT_THAT(judged(healthy(optional)).blockers,
                blocker_saying("no check of this run was required"));
    EXPECT_EQ(judged(healthy(optional)).verdict, VerdictWord::kInconclusive);
}

TEST(Judge, AFilteredOutCheckBlocksAndASampledOneDoesNot) {
    Plan filtered;
    filtered.left_out = {"trial.free_run: filtered by --skip"};
    EXPECT_THAT(judged(healthy(filtered)).blockers, blocker_saying("filtered by --skip"));
    Plan chosen;
    chosen.left_out = {"ops.repeat.mm on npu:0: not selected with --only"};
    EXPECT_EQ(judged(healthy(chosen)).verdict, VerdictWord::kInconclusive);
    Plan sampled;
    sampled.left_out = {"ops.numerics.copy: sampled out, rank 812"};
    EXPECT_EQ(judged(healthy(sampled)).verdict, VerdictWord::kQualified);
}

TEST(Judge, ARunThatHasNotEndedOrWasInterruptedIsInconclusive) {
    auto entries = healthy(Plan{});
    entries.pop_back();
    EXPECT_THAT(judged(entries).blockers, blocker_saying("it has not ended"));
    entries.push_back({"interrupted", to_json(evidence::SessionEnd{false, "Ctrl-C", 1.0})});
    EXPECT_THAT(judged(entries).blockers, blocker_saying("it ended early: Ctrl-C"));
    // Resumed and begun, but not yet ended again.
    entries = healthy(Plan{});
    entries.push_back(context_entry(Plan{}));
    EXPECT_THAT(judged(entries).blockers, blocker_saying("it has not ended"));
}

TEST(Judge, OldEvidenceQualifiesNothing) {
    const auto verdict =
        judge(chained(healthy(Plan{})), simple_criteria(), {}, "2027-02-23T00:00:00Z");
    EXPECT_EQ(verdict->verdict, VerdictWord::kInconclusive);
    EXPECT_THAT(verdict->blockers, blocker_saying("more than 90 days old"));
    EXPECT_EQ(judge(chained(healthy(Plan{})), simple_criteria(), {}, "soon").error().code,
              ErrorCode::kInternal);
}

TEST(Judge, AProjectionCanRefuteButNotQualify) {
    auto entries = healthy(Plan{});
    const auto with_chance = [&](double low, double high) {
        auto changed = entries;
        changed.insert(
            changed.end() - 1,
            {"projection", Json{{"document",
                                 {{"finish_days", {{"p50", 81.0}}},
                                  {"probability_of_deadline", {{"low", low}, {"high", high}}}}}}});
        return judged(changed);
    };
    // 90 % is wanted, so at most 10 % even by the high estimate refutes.
    EXPECT_EQ(with_chance(0.0, 0.05).verdict, VerdictWord::kNotQualified);
    EXPECT_EQ(with_chance(0.0, 0.5).verdict, VerdictWord::kQualified);
    EXPECT_EQ(with_chance(0.0, 0.5).finish.status, "INCONCLUSIVE");
    EXPECT_THAT(with_chance(0.12, 0.5).finish.summary, HasSubstr("81 days"));
}

TEST(Judge, BlockersComeWorstFirst) {
    auto entries = measured_as({attempt("ops.numerics.mm", Role::kMeasure, 5)});
    for (auto& item : entries) {
        if (item.kind == "attempt" && item.body["check"] == "trial.forced" &&
            item.body["role"] == "measure") {
            item.body["outcome"] = "unsupported";
        }
    }
    const auto verdict = judged(entries);
    ASSERT_EQ(verdict.blockers.size(), 2u);
    EXPECT_EQ(verdict.blockers[0].check, "trial.forced");
    EXPECT_EQ(verdict.blockers[1].check, "ops.numerics.mm");
}

}  // namespace
}  // namespace ascertain::judge
