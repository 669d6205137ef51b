#include "decide/judge/opinion.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/text.hpp"

namespace ascertain::judge {
namespace {

// What base/observation.hpp writes in place of a number that was not finite.
constexpr std::string_view kNotFinite = "not finite";

struct Reading {
    std::optional<double> value;
    std::string why_missing;
    bool not_finite = false;
};

Reading reading_of(const Observation& observation, std::string_view metric) {
    const Metric* found = find_metric(observation, metric);
    if (found == nullptr) return {std::nullopt, "was not measured", false};
    if (!found->value) {
        return {std::nullopt, found->reason, found->reason == kNotFinite};
    }
    if (!std::isfinite(*found->value)) return {std::nullopt, std::string(kNotFinite), true};
    if (found->n < 1) return {std::nullopt, "rests on no sample", false};
    return {found->value, "", false};
}

bool applies(const Condition& condition, const Observation& observation) {
    const Metric* found = find_metric(observation, condition.metric);
    const bool there = found != nullptr && (found->value || found->reason == kNotFinite);
    if (!there) return condition.absent || condition.or_absent;
    if (condition.absent) return false;
    if (!condition.at_most && !condition.above) return true;
    const Reading reading = reading_of(observation, condition.metric);
    if (!reading.value) return false;
    if (condition.at_most && *reading.value > *condition.at_most) return false;
    return !condition.above || *reading.value > *condition.above;
}

// Why `value` breaks `bound`, or "".
std::string breach(const Bound& bound, double value) {
    if (bound.at_most && value > *bound.at_most) {
        return fmt::format("{} is {:.6g}, above {:.6g}", bound.metric, value, *bound.at_most);
    }
    if (bound.at_least && value < *bound.at_least) {
        return fmt::format("{} is {:.6g}, below {:.6g}", bound.metric, value, *bound.at_least);
    }
    if (bound.equals && value != *bound.equals) {
        return fmt::format("{} is {:.6g}, not {:.6g}", bound.metric, value, *bound.equals);
    }
    if (bound.magnitude_at_most && std::abs(value) > *bound.magnitude_at_most) {
        return fmt::format("{} is {:.6g}, beyond ±{:.6g}", bound.metric, value,
                           *bound.magnitude_at_most);
    }
    return {};
}

struct Judged {
    Holds holds = Holds::kMet;
    std::string reason;
};

Judged judge_bound(const Bound& bound, Missing missing, const Observation& observation) {
    const auto lacking = [&](std::string_view metric, const Reading& reading) {
        const bool fails = reading.not_finite || missing == Missing::kFail;
        return Judged{fails ? Holds::kNotMet : Holds::kWeak,
                      fmt::format("{}: {}", metric, reading.why_missing)};
    };
    const Reading reading = reading_of(observation, bound.metric);
    if (!reading.value) return lacking(bound.metric, reading);
    if (const auto why = breach(bound, *reading.value); !why.empty()) return {Holds::kNotMet, why};
    if (bound.relative_to.empty()) return {};
    const Reading base = reading_of(observation, bound.relative_to);
    if (!base.value) return lacking(bound.relative_to, base);
    const double limit = std::max(bound.floor, bound.factor * *base.value);
    if (*reading.value <= limit) return {};
    return {Holds::kNotMet,
            fmt::format("{} is {:.6g}, above {:.6g} (the larger of {:.6g} and {:.6g} × {})",
                        bound.metric, *reading.value, limit, bound.floor, bound.factor,
                        bound.relative_to)};
}

Criterion joined(const std::vector<const CriterionRule*>& rules) {
    Criterion all{"", Json::array(), ""};
    for (const auto* rule : rules) {
        const Criterion one = to_criterion(*rule);
        all.id += (all.id.empty() ? "" : ", ") + one.id;
        if (all.source.find(one.source) == std::string::npos) {
            all.source += (all.source.empty() ? "" : "; ") + one.source;
        }
        for (const auto& bound : one.bound) all.bound.push_back(bound);
    }
    return all;
}

}  // namespace

Opinion opinion(const CriteriaSet& criteria, std::string_view check,
                const Observation& observation) {
    std::vector<const CriterionRule*> applying;
    std::map<std::string, const CriterionRule*> decided_by;
    for (const auto* rule : criteria.naming(check)) {
        const auto holds = [&](const Condition& condition) {
            return applies(condition, observation);
        };
        if (!std::ranges::all_of(rule->when, holds)) continue;
        const auto [other, first] = decided_by.emplace(rule->rule, rule);
        if (!first) {
            return {Holds::kWeak,
                    fmt::format("the criteria \"{}\" and \"{}\" both claim to decide \"{}\"",
                                other->second->id, rule->id, rule->rule),
                    to_criterion(*rule)};
        }
        applying.push_back(rule);
    }
    if (applying.empty()) {
        return {Holds::kWeak, "no criterion bounds what was observed", {"", Json::array(), ""}};
    }
    Opinion weak;
    for (const auto* rule : applying) {
        for (const auto& bound : rule->bounds) {
            const Judged judged = judge_bound(bound, rule->missing, observation);
            if (judged.holds == Holds::kNotMet) {
                return {Holds::kNotMet, judged.reason, to_criterion(*rule)};
            }
            if (judged.holds == Holds::kWeak && weak.reason.empty()) {
                weak = {Holds::kWeak, judged.reason, to_criterion(*rule)};
            }
        }
    }
    if (!weak.reason.empty()) return weak;
    return {Holds::kMet, "", joined(applying)};
}

}  // namespace ascertain::judge
