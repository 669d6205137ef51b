// What must hold of every run whatsoever: random runs, in which each check may have ended in any
// way.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.hpp"
#include "decide/judge/judge.hpp"
#include "decide/judge/scenario.hpp"

namespace ascertain::judge {
namespace {

using evidence::Outcome;
using evidence::Role;
using testing_scenario::attempt;
using testing_scenario::chained;
using testing_scenario::Entry;
using testing_scenario::entry;
using testing_scenario::healthy;
using testing_scenario::judged;
using testing_scenario::kNow;
using testing_scenario::Plan;
using testing_scenario::simple_criteria;

const CheckVerdict& check_of(const Verdict& verdict, std::string_view id) {
    const auto found = std::ranges::find(verdict.checks, id, &CheckVerdict::id);
    EXPECT_NE(found, verdict.checks.end()) << id;
    return *found;
}

// 0 is best.
int badness(const Verdict& verdict) {
    return static_cast<int>(verdict.verdict);
}

// An attempt with a random ending.
evidence::Attempt any_attempt(Random& random, std::string check, Role role, int number) {
    auto made = attempt(std::move(check), role, random.below(2) == 0 ? 0.5 : 5.0);
    made.number = number;
    made.seed = random.below(3);
    if (random.below(3) == 0) {
        made.outcome = static_cast<Outcome>(random.below(9));
        if (made.outcome != Outcome::kCompleted) made.observation.clear();
    }
    if (random.below(8) == 0) made.observation.clear();
    return made;
}

// A run in which every check may have ended in any way.
std::vector<Entry> any_run(Random& random) {
    auto entries = healthy(Plan{});
    std::vector<Entry> changed;
    for (auto& item : entries) {
        if (item.kind != "attempt" || random.below(2) == 0) {
            changed.push_back(std::move(item));
            continue;
        }
        const auto original = evidence::attempt_from_json(item.body, "r");
        const auto count = random.below(3);
        for (std::uint64_t i = 0; i < count; ++i) {
            const bool confirm = i == 1 && original->role == Role::kMeasure && random.below(2) == 0;
            changed.push_back(entry(any_attempt(random, original->check,
                                                confirm ? Role::kConfirm : original->role,
                                                confirm ? 1 : static_cast<int>(i) + 1)));
        }
    }
    return changed;
}

TEST(JudgeProperty, FlippingARequiredCheckFromPassedNeverImprovesTheVerdict) {
    Random random(1, 1);
    int flipped = 0;
    for (int round = 0; round < 2000; ++round) {
        const auto before = any_run(random);
        const auto verdict = judged(before);
        for (const auto& check : verdict.checks) {
            if (!check.required || check.status != Status::kPassed) continue;
            auto after = before;
            for (auto& item : after) {
                if (item.kind != "attempt" || item.body["check"] != check.id) continue;
                if (item.body["role"] != "measure" && item.body["role"] != "confirm") continue;
                const auto old = evidence::attempt_from_json(item.body, "r");
                auto made = any_attempt(random, check.id, old->role, old->number);
                item = entry(made);
            }
            const auto worse = judged(after);
            if (check_of(worse, check.id).status == Status::kPassed) continue;
            ++flipped;
            ASSERT_GE(badness(worse), badness(verdict)) << "round " << round << ": " << check.id;
            ASSERT_NE(worse.verdict, VerdictWord::kQualified);
        }
    }
    EXPECT_GT(flipped, 500) << "the property was hardly exercised";
}

TEST(JudgeProperty, TakingAnyRecordAwayNeverQualifies) {
    Random random(2, 1);
    for (int round = 0; round < 300; ++round) {
        const auto whole = round == 0 ? chained(healthy(Plan{})) : chained(any_run(random));
        for (std::size_t gone = 0; gone < whole.size(); ++gone) {
            auto part = whole;
            part.erase(part.begin() + static_cast<std::ptrdiff_t>(gone));
            const auto verdict = judge(part, simple_criteria(), {}, kNow);
            ASSERT_NE(verdict->verdict, VerdictWord::kQualified)
                << "round " << round << " without record " << gone + 1;
        }
    }
}

TEST(JudgeProperty, EvenAChainForgedAroundAMissingRecordIsNotQualified) {
    // The healthy run, one record left out before chaining: every record but the prediction and
    // the optional speed check is needed.
    const auto entries = healthy(Plan{});
    for (std::size_t gone = 0; gone < entries.size(); ++gone) {
        const bool optional = entries[gone].kind == "prediction" ||
                              entries[gone].body.value("check", "") == "speed.mm";
        if (optional) continue;
        auto part = entries;
        part.erase(part.begin() + static_cast<std::ptrdiff_t>(gone));
        EXPECT_NE(judged(part).verdict, VerdictWord::kQualified) << "record " << gone + 1;
    }
}

TEST(JudgeProperty, TheOrderOfAttemptsDoesNotMatter) {
    Random random(3, 1);
    for (int round = 0; round < 500; ++round) {
        auto entries = any_run(random);
        const auto first = std::ranges::find(entries, "attempt", &Entry::kind);
        if (first == entries.end()) continue;
        const auto last = entries.end() - 1;
        const auto straight = judged(entries);
        for (auto item = last; item - first > 1; --item) {
            const auto other = random.below(static_cast<std::uint64_t>(item - first));
            std::iter_swap(item - 1, first + static_cast<std::ptrdiff_t>(other));
        }
        const auto shuffled = judged(entries);
        ASSERT_EQ(shuffled.verdict, straight.verdict) << "round " << round;
        for (std::size_t i = 0; i < straight.checks.size(); ++i) {
            ASSERT_EQ(shuffled.checks[i].status, straight.checks[i].status) << "round " << round;
            ASSERT_EQ(shuffled.checks[i].reason, straight.checks[i].reason) << "round " << round;
        }
    }
}

TEST(JudgeProperty, TheSameEvidenceGivesTheSameDocument) {
    Random random(4, 1);
    for (int round = 0; round < 50; ++round) {
        const auto records = chained(any_run(random));
        EXPECT_EQ(to_json(*judge(records, simple_criteria(), {}, kNow)).dump(),
                  to_json(*judge(records, simple_criteria(), {}, kNow)).dump());
    }
}

}  // namespace
}  // namespace ascertain::judge
