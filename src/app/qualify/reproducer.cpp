#include "app/qualify/reproducer.hpp"

#include <fmt/format.h>

#include "decide/judge/opinion.hpp"
#include "measure/checks/cases.hpp"

namespace ascertain::app {
namespace {

using qualification::Outcome;

// Whether this row alone contradicts a bound of the check.
bool fails_alone(const judge::CriteriaSet& criteria, const std::string& check, const Json& row) {
    const auto found = row.find("observation");
    if (found == row.end()) return false;
    const auto observation = observation_from_json(*found, "row");
    return observation &&
           judge::opinion(criteria, check, *observation).holds == judge::Holds::kNotMet;
}

const Json* case_named(const qualification::Item& item, const std::string& id) {
    const auto cases = item.subject->params.find("cases");
    if (cases == item.subject->params.end()) return nullptr;
    for (const Json& one : *cases) {
        if (checks::case_id(one) == id) return &one;
    }
    return nullptr;
}

}  // namespace

std::optional<Json> culprit(const judge::CriteriaSet& criteria, const qualification::Item& item,
                            const qualification::Attempt& attempt) {
    const auto asked = attempt.detail.find("case");
    if (asked != attempt.detail.end() && asked->is_object()) return *asked;
    if (attempt.outcome != Outcome::kCompleted) return std::nullopt;
    const auto holds = judge::opinion(criteria, item.id, attempt.observation).holds;
    const auto rows = attempt.detail.find("rows");
    if (holds != judge::Holds::kNotMet || rows == attempt.detail.end() || !rows->is_array()) {
        return std::nullopt;
    }
    const Json* smallest = nullptr;
    const Json* any = nullptr;
    for (const Json& row : *rows) {
        if (!row.is_object()) continue;
        const auto id = row.find("case");
        const Json* one =
            id != row.end() && id->is_string() ? case_named(item, id->get<std::string>()) : nullptr;
        if (one == nullptr) continue;
        if (any == nullptr) any = one;
        if (!fails_alone(criteria, item.id, row)) continue;
        if (smallest == nullptr || checks::elements_of(*one) < checks::elements_of(*smallest))
            smallest = one;
    }
    const Json* found = smallest != nullptr ? smallest : any;
    return found == nullptr ? std::nullopt : std::optional<Json>(*found);
}

std::string reproducer(const qualification::Attempt& attempt, const std::string& case_path,
                       const std::string& flags) {
    return fmt::format("ascertain ops --case {} --seed {} --device {} --only {}{}", case_path,
                       attempt.seed, attempt.device, attempt.check, flags);
}

}  // namespace ascertain::app
