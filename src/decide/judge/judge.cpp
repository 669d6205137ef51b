#include "decide/judge/judge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <set>

#include "base/text.hpp"
#include "base/units.hpp"
#include "decide/judge/dates.hpp"
#include "decide/judge/ladder.hpp"
#include "decide/judge/presence.hpp"
#include "decide/judge/questions.hpp"
#include "decide/judge/reading.hpp"
#include "decide/judge/status.hpp"

namespace ascertain::judge {
namespace {

using evidence::Outcome;
using evidence::Role;

// Drivers and libraries of every vendor are renewed about each quarter; a verdict about software
// nobody runs any more is worth nothing.
constexpr std::chrono::days kValidity{90};
constexpr std::string_view kProfileQuick = "quick";

// A blocker with the weight that orders it.
struct Weighed {
    Weight weight = Weight::kInconclusive;
    Blocker blocker;
};

bool is_control(const evidence::Attempt& attempt) {
    return attempt.role == Role::kControl || attempt.role == Role::kControlClean;
}

// The family of a control: that of the check it belongs to. A control of a check nobody planned
// belongs to none.
std::string family_of(const Run& run, std::string_view check) {
    const auto found = std::ranges::find(run.planned, check, &evidence::PlannedCheck::id);
    return found == run.planned.end() ? std::string() : found->family;
}

CheckEvidence gather(const Run& run, const evidence::PlannedCheck& planned, const Proofs& proofs) {
    CheckEvidence gathered;
    gathered.planned = planned;
    const Proof* proof = proof_of(proofs, planned.id);
    if (proof != nullptr) gathered.proof = "proof:" + proof->hash();
    gathered.reference_is_device = is_cpu(planned.device);
    for (const auto& judged : run.attempts) {
        const auto& attempt = judged.attempt;
        if (attempt.device != planned.device) continue;
        const bool same = attempt.check == planned.id;
        if (is_control(attempt)) {
            if (same || family_of(run, attempt.check) == planned.family) {
                gathered.controls.push_back(judged);
            }
        } else if (same) {
            gathered.attempts.push_back(judged);
        }
        if (!same && attempt.outcome == Outcome::kCompleted) gathered.device_answers = true;
    }
    return gathered;
}

// The measurement that a prediction foretold: the last one of its check, by number.
const JudgedAttempt* measured_by(const Run& run, const evidence::Prediction& prediction) {
    const JudgedAttempt* found = nullptr;
    for (const auto& judged : run.attempts) {
        const auto& attempt = judged.attempt;
        const bool about = attempt.check == prediction.check &&
                           attempt.device == prediction.device && attempt.role == Role::kMeasure &&
                           attempt.outcome == Outcome::kCompleted;
        if (!about) continue;
        const auto* metric = find_metric(attempt.observation, prediction.metric);
        if (metric == nullptr || !metric->value) continue;
        if (found == nullptr || attempt.number >= found->attempt.number) found = &judged;
    }
    return found;
}

Comparison compare(const Run& run, const Foretold& foretold) {
    Comparison comparison;
    comparison.prediction = foretold.prediction;
    comparison.record = foretold.record;
    const auto* judged = measured_by(run, foretold.prediction);
    if (judged == nullptr) return comparison;
    const double value =
        *find_metric(judged->attempt.observation, foretold.prediction.metric)->value;
    comparison.measured = value;
    comparison.record = judged->record;
    const bool told_before = foretold.sequence < judged->sequence;
    comparison.inside =
        told_before && value >= foretold.prediction.low && value <= foretold.prediction.high;
    comparison.blocks = foretold.prediction.calibrated && !comparison.inside;
    return comparison;
}

Weighed blocker_of(const Comparison& comparison) {
    const auto& prediction = comparison.prediction;
    const double value = *comparison.measured;
    const bool missed = value < prediction.low || value > prediction.high;
    const auto what = missed ? fmt::format("foretold to lie between {:.4g} and {:.4g}",
                                           prediction.low, prediction.high)
                             : std::string("which was foretold only after it had been measured");
    return {Weight::kInconclusive,
            {prediction.check,
             fmt::format("{} on {} was measured as {:.4g} {}, {}", prediction.metric,
                         prediction.device, value, prediction.unit, what),
             fmt::format("explain the difference in a waiver of {}, or calibrate again and measure "
                         "again",
                         prediction.id),
             {comparison.record}}};
}

// Waivers that are in force on that day.
std::vector<Waiver> in_force(const std::vector<Waiver>& waivers, std::chrono::sys_days today) {
    std::vector<Waiver> valid;
    for (const auto& waiver : waivers) {
        const auto until = day_of(waiver.until);
        const bool signed_for = !waiver.by.empty() && !waiver.why.empty();
        if (until && *until >= today && signed_for) valid.push_back(waiver);
    }
    return valid;
}

void apply_waivers(Verdict& verdict, const std::vector<Waiver>& valid) {
    for (const auto& waiver : valid) {
        bool used = false;
        for (auto& check : verdict.checks) {
            if (check.weight == Weight::kPass || !matches_wildcard(check.id, waiver.check))
                continue;
            check.reason =
                fmt::format("waived by {} until {}: {} (was {}: {})", waiver.by, waiver.until,
                            waiver.why, name_of(check.status), check.reason);
            check.status = Status::kWaived;
            check.weight = Weight::kPass;
            used = true;
        }
        // A measurement outside its prediction is explained by naming the prediction.
        for (auto& comparison : verdict.comparisons) {
            if (!comparison.blocks || comparison.prediction.id != waiver.check) continue;
            comparison.blocks = false;
            used = true;
        }
        if (used) verdict.waivers.push_back(waiver);
    }
}

std::vector<std::string> devices_of(const Run& run) {
    std::vector<std::string> devices;
    for (const auto& check : run.planned) {
        for (auto& member : members_of(check.device)) {
            if (std::ranges::find(devices, member) == devices.end()) {
                devices.push_back(std::move(member));
            }
        }
    }
    return devices;
}

double device_hours(const Run& run) {
    double seconds = 0.0;
    for (const auto& judged : run.attempts) {
        seconds += judged.attempt.duration_s *
                   static_cast<double>(members_of(judged.attempt.device).size());
    }
    return seconds / kSecondsPerHour;
}

// Someone chose not to ask, which no profile allows for; what the profile itself leaves out
// (sampled cases, larger profiles) is listed and does not block.
bool left_out_by_choice(std::string_view why) {
    return why.starts_with("filtered") || why.find("--only") != std::string_view::npos ||
           why.find("--skip") != std::string_view::npos;
}

// Everything that keeps the whole run, whatever its checks say, from being QUALIFIED.
std::vector<Weighed> caps_of(const Run& run, const Verdict& verdict, const Presence& presence) {
    std::vector<Weighed> caps;
    const auto cap = [&](std::string check, std::string reason, std::string remedy) {
        caps.push_back(
            {Weight::kInconclusive, {std::move(check), std::move(reason), std::move(remedy), {}}});
    };
    for (const auto& problem : run.problems) caps.push_back({Weight::kInconclusive, problem});
    const bool any_required = std::ranges::any_of(run.planned, &evidence::PlannedCheck::required);
    if (!run.planned.empty() && !any_required) {
        cap("required", "no check of this run was required, so nothing can be shown",
            "run ascertain qualify without filters");
    }
    if (!run.end || !run.end->complete) {
        cap("run",
            run.end ? fmt::format("it ended early: {}", run.end->reason) : "it has not ended",
            "go on with ascertain qualify --resume");
    }
    if (run.profile == kProfileQuick) {
        cap("profile", "the quick profile screens: it can disqualify, it cannot qualify",
            "run it with --profile standard");
    } else if (run.profile != "standard" && run.profile != "full") {
        cap("profile", fmt::format("\"{}\" is no profile", shortened(run.profile, 40)),
            "run it with --profile standard");
    }
    if (!is_rung(run.rung)) {
        cap("scope", fmt::format("\"{}\" is no rung", shortened(run.rung, 40)),
            "run it with --rung device");
    }
    // A part says nothing of the fleet: its scope names the devices, and that is all it claims.
    const bool whole = run.part == "whole";
    const Json campaign = run.context ? run.context->campaign : Json::object();
    const auto doubt = rung_doubt(run.rung, verdict.scope.devices.size(), run.planned, campaign);
    if (!doubt.empty() && whole) {
        cap("scope", doubt, "put all of its devices under test, or run it with --rung device");
    }
    if (!presence.doubt.empty() && whole) {
        cap("scope", presence.doubt, "run it where one device of the fleet's kind is");
    }
    for (const auto& item : run.left_out) {
        const auto colon = item.find(": ");
        const auto why = colon == std::string::npos ? std::string_view(item)
                                                    : std::string_view(item).substr(colon + 2);
        if (!left_out_by_choice(why)) continue;
        cap(item.substr(0, colon), fmt::format("left out: {}", why), "run it without the filter");
    }
    return caps;
}

// What was foretold of a rung ("rung.node.bandwidth.tp") and not measured here.
std::vector<std::pair<std::string, std::string>> open_points(const Verdict& verdict) {
    constexpr std::string_view kPrefix = "rung.";
    std::vector<std::pair<std::string, std::string>> open;
    for (const auto& comparison : verdict.comparisons) {
        const auto& foretold = comparison.prediction;
        if (comparison.measured || !foretold.id.starts_with(kPrefix)) continue;
        const auto end = foretold.id.find('.', kPrefix.size());
        if (end == std::string::npos) continue;
        open.emplace_back(
            foretold.id.substr(kPrefix.size(), end - kPrefix.size()),
            fmt::format("{} of {}, foretold to lie between {:.3g} and {:.3g} {}", foretold.metric,
                        foretold.device, foretold.low, foretold.high, foretold.unit));
    }
    return open;
}

Scope scope_of(const Run& run) {
    Scope scope;
    scope.rung = run.rung;
    scope.part = run.part;
    scope.devices = devices_of(run);
    scope.hours = device_hours(run);
    if (run.context) scope.software = run.context->software;
    return scope;
}

Json context_of(const Run& run, const std::vector<evidence::Record>& records,
                const CriteriaSet& criteria) {
    Json context = run.context ? evidence::to_json(*run.context) : Json::object();
    context["records"] = records.size();
    context["evidence_head"] =
        records.empty() ? std::string(evidence::kChainStart) : records.back().hash;
    context["criteria_hash"] = criteria.hash();
    return context;
}

VerdictWord word_of(Weight weight) {
    switch (weight) {
        case Weight::kPass: return VerdictWord::kQualified;
        case Weight::kInconclusive: return VerdictWord::kInconclusive;
        case Weight::kFail: return VerdictWord::kNotQualified;
    }
    ASCERTAIN_ASSERT(false);
    return VerdictWord::kInconclusive;
}

void judge_checks(const Run& run, const Proofs& proofs, Verdict& verdict) {
    for (const auto& planned : run.planned) {
        verdict.checks.push_back(judge_check(gather(run, planned, proofs)));
        const bool listed =
            std::ranges::find(verdict.required, planned.id) != verdict.required.end();
        if (planned.required && !listed) verdict.required.push_back(planned.id);
    }
}

void answer_questions(const Run& run, Verdict& verdict) {
    verdict.compute = answer_question("compute", verdict.checks);
    verdict.endure = answer_question("endure", verdict.checks);
    verdict.learn = answer_question("learn", verdict.checks);
    verdict.finish = answer_question("finish", verdict.checks);
    verdict.serve = answer_question("serve", verdict.checks);
    if (!run.projection.is_object()) return;
    const auto deadline =
        judge_deadline(run.projection, run.context ? run.context->campaign : Json::object());
    const bool asked = !verdict.finish.checks.empty();
    verdict.finish.summary =
        asked ? deadline.summary + " " + verdict.finish.summary : deadline.summary;
    if (!asked || deadline.weight == Weight::kFail) {
        verdict.finish.status = std::string(name_of(deadline.weight));
    }
}

// Everything that weighs against QUALIFIED, in the order in which it was found.
std::vector<Weighed> weigh(const Run& run, const Verdict& verdict, const Presence& presence) {
    std::vector<Weighed> weighed;
    for (const auto& check : verdict.checks) {
        if (!check.required || check.weight == Weight::kPass) continue;
        weighed.push_back(
            {check.weight,
             {check.id,
              fmt::format("{} on {}: {}", name_of(check.status), check.device, check.reason),
              remedy_for(check), check.records}});
    }
    if (run.projection.is_object()) {
        const auto deadline =
            judge_deadline(run.projection, run.context ? run.context->campaign : Json::object());
        if (deadline.weight == Weight::kFail) {
            weighed.push_back({Weight::kFail,
                               {"finish",
                                deadline.summary,
                                "change what the projection says must be true, or the deadline",
                                {}}});
        }
    }
    for (const auto& comparison : verdict.comparisons) {
        if (comparison.blocks) weighed.push_back(blocker_of(comparison));
    }
    for (auto& cap : caps_of(run, verdict, presence)) weighed.push_back(std::move(cap));
    return weighed;
}

Verdict judge_run(const std::vector<evidence::Record>& records, const CriteriaSet& criteria,
                  const std::vector<Waiver>& waivers, std::chrono::sys_days today,
                  const Proofs& proofs) {
    const Run run = read_run(records, criteria);
    Verdict verdict;
    verdict.profile = run.profile;
    verdict.scope = scope_of(run);
    verdict.projection = run.projection;
    verdict.context = context_of(run, records, criteria);
    judge_checks(run, proofs, verdict);
    for (const auto& foretold : run.predictions) {
        verdict.comparisons.push_back(compare(run, foretold));
    }
    apply_waivers(verdict, in_force(waivers, today));
    answer_questions(run, verdict);

    const Json campaign = run.context ? run.context->campaign : Json::object();
    const Presence presence = presence_of(verdict.scope.devices, run.devices, campaign);
    auto weighed = weigh(run, verdict, presence);
    // Answers that were taken over are no younger for it.
    const std::string& reused = run.oldest_reused_utc;
    const auto recorded =
        day_of(reused.empty() ? run.last_time_utc : std::min(reused, run.last_time_utc));
    if (recorded && *recorded + kValidity < today) {
        weighed.push_back({Weight::kInconclusive,
                           {"scope",
                            fmt::format("the evidence is from {}, more than {} days old",
                                        to_text(*recorded), kValidity.count()),
                            "run it again with today's software",
                            {}}});
    }
    Weight overall = Weight::kPass;
    for (const auto& item : weighed) overall = worst_of(overall, item.weight);
    std::ranges::stable_sort(weighed, std::greater{}, &Weighed::weight);
    for (auto& item : weighed) verdict.blockers.push_back(std::move(item.blocker));
    // Without a date of its own the evidence has no validity to state, so nothing is qualified.
    if (overall == Weight::kPass && !recorded) {
        overall = Weight::kInconclusive;
        verdict.blockers.push_back({"scope", "the evidence carries no date", "run it again", {}});
    }
    verdict.verdict = word_of(overall);
    const bool qualified = verdict.verdict == VerdictWord::kQualified;
    if (qualified) verdict.scope.valid_until = to_text(*recorded + kValidity);
    verdict.next_rung = next_rung({run.rung, qualified && verdict.scope.is_whole(), presence.chip,
                                   campaign, open_points(verdict)});
    if (!verdict.scope.is_whole()) {
        verdict.next_rung.settles.emplace_back("the other parts, which ascertain qualify asks");
    }
    return verdict;
}

Verdict judge_that_broke(std::string_view cause) {
    Verdict verdict;
    verdict.verdict = VerdictWord::kInconclusive;
    for (auto* answer :
         {&verdict.compute, &verdict.endure, &verdict.learn, &verdict.finish, &verdict.serve}) {
        *answer = {"INCONCLUSIVE", "The judge broke before it was answered.", {}};
    }
    verdict.blockers.push_back({"judge",
                                fmt::format("the judge itself broke: {}", cause),
                                "report this as a bug of ascertain, with the evidence",
                                {}});
    return verdict;
}

}  // namespace

Result<Verdict> judge(const std::vector<evidence::Record>& records, const CriteriaSet& criteria,
                      const std::vector<Waiver>& waivers, std::string_view now_utc,
                      const Proofs& proofs) {
    const auto today = day_of(now_utc);
    if (!today) {
        return Error{ErrorCode::kInternal, fmt::format("\"{}\" is no date", now_utc), "judge"};
    }
    try {
        return judge_run(records, criteria, waivers, *today, proofs);
    } catch (const std::exception& problem) {
        return judge_that_broke(problem.what());
    }
}

}  // namespace ascertain::judge
