#include "decide/judge/status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "base/text.hpp"

namespace ascertain::judge {
namespace {

using evidence::Outcome;
using evidence::Role;

// What one attempt says once outcome and opinion are put together.
enum class Says { kMet, kNotMet, kWeak, kBroke, kUnsupported, kSkipped, kHarness };

Says says(const JudgedAttempt& judged) {
    switch (judged.attempt.outcome) {
        case Outcome::kCompleted:
            if (judged.opinion.holds == Holds::kMet) return Says::kMet;
            return judged.opinion.holds == Holds::kNotMet ? Says::kNotMet : Says::kWeak;
        case Outcome::kDeviceError: return Says::kNotMet;
        case Outcome::kNoReference: return Says::kWeak;
        case Outcome::kUnsupported: return Says::kUnsupported;
        case Outcome::kSkipped: return Says::kSkipped;
        case Outcome::kTimedOut:
        case Outcome::kCrashed:
        case Outcome::kDeviceLost: return Says::kBroke;
        case Outcome::kHarnessError: return Says::kHarness;
    }
    ASCERTAIN_ASSERT(false);
    return Says::kHarness;
}

std::string reason_of(const JudgedAttempt& judged) {
    if (judged.attempt.outcome == Outcome::kCompleted) return judged.opinion.reason;
    if (!judged.attempt.message.empty()) return shortened(judged.attempt.message, 300);
    return std::string(evidence::name_of(judged.attempt.outcome));
}

Status status_of_break(Outcome outcome) {
    if (outcome == Outcome::kTimedOut) return Status::kTimedOut;
    return outcome == Outcome::kCrashed ? Status::kCrashed : Status::kDeviceLost;
}

struct Outcomes {
    std::vector<const JudgedAttempt*> met, not_met, weak, broke, unsupported, skipped, harness;
};

Outcomes sorted_out(const std::vector<JudgedAttempt>& attempts) {
    Outcomes outcomes;
    for (const auto& judged : attempts) {
        switch (says(judged)) {
            case Says::kMet: outcomes.met.push_back(&judged); break;
            case Says::kNotMet: outcomes.not_met.push_back(&judged); break;
            case Says::kWeak: outcomes.weak.push_back(&judged); break;
            case Says::kBroke: outcomes.broke.push_back(&judged); break;
            case Says::kUnsupported: outcomes.unsupported.push_back(&judged); break;
            case Says::kSkipped: outcomes.skipped.push_back(&judged); break;
            case Says::kHarness: outcomes.harness.push_back(&judged); break;
        }
    }
    return outcomes;
}

// Why the attempts are no whole series, as when a record is gone, or "".
std::string gap_in(const std::vector<JudgedAttempt>& attempts) {
    for (const Role role : {Role::kMeasure, Role::kConfirm}) {
        std::set<int> numbers;
        for (const auto& judged : attempts) {
            if (judged.attempt.role == role) numbers.insert(judged.attempt.number);
        }
        int expected = 0;
        for (const int number : numbers) {
            if (number != ++expected) {
                return fmt::format("attempt {} ({}) is missing from the record", expected,
                                   evidence::name_of(role));
            }
        }
        if (role == Role::kMeasure && numbers.empty()) {
            return "it was confirmed without having been measured";
        }
    }
    return {};
}

// "" when the controls show that this check can fail and does not fail everything.
std::string distrust_of_controls(const std::vector<JudgedAttempt>& controls) {
    bool caught = false;
    bool clean = false;
    for (const auto& judged : controls) {
        if (judged.attempt.outcome != Outcome::kCompleted) continue;
        if (judged.attempt.role == Role::kControl) {
            caught = true;
            if (judged.opinion.holds != Holds::kNotMet) {
                return "its control, a corrupted copy that must fail, did not fail";
            }
        } else {
            clean = true;
            if (judged.opinion.holds != Holds::kMet) {
                return fmt::format("the clean twin of its control did not pass ({})",
                                   judged.opinion.reason);
            }
        }
    }
    if (!caught) return "its control, a corrupted copy that must fail, did not complete";
    if (!clean) return "the clean twin of its control did not complete";
    return {};
}

bool control_completed(const CheckEvidence& evidence) {
    if (!evidence.planned.has_control) return evidence.device_answers;
    return std::ranges::any_of(evidence.controls, [](const JudgedAttempt& judged) {
        return judged.attempt.outcome == Outcome::kCompleted;
    });
}

// The judgement before it is put beside its observation.
struct Finding {
    Status status = Status::kUntested;
    Weight weight = Weight::kInconclusive;
    std::string reason;
    const JudgedAttempt* shown = nullptr;  // the attempt whose numbers the verdict carries
};

Finding judge_failures(const CheckEvidence& evidence, const Outcomes& outcomes) {
    const JudgedAttempt* worst = outcomes.not_met.front();
    if (!outcomes.met.empty()) {
        return {Status::kFlaky, evidence.planned.timing ? Weight::kInconclusive : Weight::kFail,
                fmt::format("met its bound and missed it under the same question: {}",
                            reason_of(*worst)),
                worst};
    }
    std::set<std::uint64_t> seeds;
    for (const auto* judged : outcomes.not_met) seeds.insert(judged->attempt.seed);
    if (seeds.size() < 2) {
        return {Status::kMistrusted, Weight::kInconclusive,
                fmt::format("missed its bound, not yet confirmed on another seed: {}",
                            reason_of(*worst)),
                worst};
    }
    return {Status::kFailed, Weight::kFail, reason_of(*worst), worst};
}

Finding judge_breaks(const CheckEvidence& evidence, const Outcomes& outcomes) {
    const JudgedAttempt* last = outcomes.broke.back();
    const Status status = status_of_break(last->attempt.outcome);
    const auto why = reason_of(*last);
    if (outcomes.broke.size() < 2) {
        return {status, Weight::kInconclusive, fmt::format("once, not repeated: {}", why), last};
    }
    if (!control_completed(evidence)) {
        return {status, Weight::kInconclusive,
                fmt::format("twice, but nothing shows that the device answers at all: {}", why),
                last};
    }
    return {status, Weight::kFail, fmt::format("twice, while its control completed: {}", why),
            last};
}

Finding judge_unsupported(const CheckEvidence& evidence, const Outcomes& outcomes) {
    const auto& question = evidence.planned.question;
    const bool trains = question == "compute" || question == "endure" || question == "learn";
    const JudgedAttempt* last = outcomes.unsupported.back();
    return {Status::kUnsupported, trains ? Weight::kFail : Weight::kInconclusive,
            fmt::format("{}{}", trains ? "training needs it: " : "", reason_of(*last)), last};
}

Finding judge_met(const CheckEvidence& evidence, const Outcomes& outcomes) {
    const JudgedAttempt* last = outcomes.met.back();
    const auto mistrusted = [&](std::string why) {
        return Finding{Status::kMistrusted, Weight::kInconclusive, std::move(why), last};
    };
    if (evidence.planned.has_control) {
        if (auto why = distrust_of_controls(evidence.controls); !why.empty()) {
            return mistrusted(std::move(why));
        }
    } else if (evidence.planned.required && evidence.proof.empty()) {
        return mistrusted("neither a control nor a proof shows that this check can fail");
    }
    if (evidence.reference_is_device && evidence.planned.question == "learn") {
        return mistrusted("device and reference are both the CPU, so this compares it with itself");
    }
    return {Status::kPassed, Weight::kPass, "", last};
}

Finding find(const CheckEvidence& evidence) {
    const auto& attempts = evidence.attempts;
    if (attempts.empty()) {
        return {Status::kUntested, Weight::kInconclusive, "it was planned and never ran", nullptr};
    }
    const Outcomes outcomes = sorted_out(attempts);
    const bool contradicted = !outcomes.not_met.empty();
    if (!contradicted || outcomes.not_met.size() < 2) {
        if (auto gap = gap_in(attempts); !gap.empty()) {
            return {Status::kMistrusted, Weight::kInconclusive, std::move(gap), &attempts.back()};
        }
    }
    if (contradicted) return judge_failures(evidence, outcomes);
    if (!outcomes.broke.empty()) return judge_breaks(evidence, outcomes);
    if (!outcomes.unsupported.empty()) return judge_unsupported(evidence, outcomes);
    if (!outcomes.harness.empty()) {
        const auto* last = outcomes.harness.back();
        return {Status::kHarnessError, Weight::kInconclusive,
                fmt::format("our own fault, no fault of the device: {}", reason_of(*last)), last};
    }
    if (!outcomes.weak.empty()) {
        const auto* last = outcomes.weak.back();
        return {Status::kMistrusted, Weight::kInconclusive, reason_of(*last), last};
    }
    if (!outcomes.met.empty()) return judge_met(evidence, outcomes);
    const auto* last = outcomes.skipped.back();
    return {
        Status::kSkipped, Weight::kInconclusive,
        fmt::format("{}: {}", last->attempt.category.empty() ? "skipped" : last->attempt.category,
                    reason_of(*last)),
        last};
}

// So that the order in which attempts were recorded does not matter.
void put_in_fixed_order(std::vector<JudgedAttempt>& attempts) {
    std::ranges::sort(attempts, {}, [](const JudgedAttempt& judged) {
        return std::tuple(judged.attempt.role, judged.attempt.check, judged.attempt.number,
                          judged.attempt.seed, judged.attempt.outcome, judged.opinion.reason,
                          judged.record);
    });
}

}  // namespace

Weight worst_of(Weight a, Weight b) {
    return std::max(a, b);
}

CheckVerdict judge_check(CheckEvidence evidence) {
    put_in_fixed_order(evidence.attempts);
    put_in_fixed_order(evidence.controls);
    const Finding finding = find(evidence);
    CheckVerdict verdict;
    verdict.id = evidence.planned.id;
    verdict.device = evidence.planned.device;
    verdict.question = evidence.planned.question;
    verdict.required = evidence.planned.required;
    verdict.status = finding.status;
    verdict.weight = finding.weight;
    verdict.reason = finding.reason;
    verdict.criterion.bound = Json::array();
    for (const auto& judged : evidence.attempts) {
        verdict.duration_s += judged.attempt.duration_s;
        verdict.records.push_back(judged.record);
    }
    if (finding.shown != nullptr) {
        const auto& attempt = finding.shown->attempt;
        verdict.seed = attempt.seed;
        verdict.reproduce = attempt.reproduce;
        verdict.observation = attempt.observation;
        if (!finding.shown->opinion.criterion.id.empty()) {
            verdict.criterion = finding.shown->opinion.criterion;
        }
    }
    if (!evidence.planned.has_control) {
        verdict.proof = evidence.proof;
    } else if (distrust_of_controls(evidence.controls).empty()) {
        verdict.proof = evidence.proof.empty() ? "control" : evidence.proof;
        for (const auto& judged : evidence.controls) verdict.records.push_back(judged.record);
    }
    std::ranges::sort(verdict.records);
    return verdict;
}

std::string remedy_for(const CheckVerdict& check) {
    switch (check.status) {
        case Status::kUntested: return "go on with ascertain qualify --resume";
        case Status::kFailed:
            return "give the vendor the script beside the report, or waive it with a date and a "
                   "name";
        case Status::kFlaky:
            return "run it alone and repeatedly; an answer that changes is a fault until explained";
        case Status::kMistrusted: return "mend what makes the evidence weak, then run it again";
        case Status::kUnsupported:
            return "ask the vendor for it, or change the model or recipe so that training does not "
                   "need it";
        case Status::kSkipped: return "provide what it lacked, then run it";
        case Status::kTimedOut:
            return "look for a hang in the worker's stderr; give the vendor the reproducer";
        case Status::kDeviceLost:
            return "check the device's driver, power and link logs; exclude it or replace it";
        case Status::kCrashed: return "give the vendor the reproducer and the worker's stderr";
        case Status::kHarnessError: return "report this as a bug of ascertain, with the evidence";
        case Status::kPassed: return "explain the measurement, or calibrate and measure again";
        case Status::kWaived: return "";
    }
    ASCERTAIN_ASSERT(false);
    return {};
}

}  // namespace ascertain::judge
