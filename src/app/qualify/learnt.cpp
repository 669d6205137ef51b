#include "app/qualify/learnt.hpp"

#include <array>
#include <set>
#include <utility>

#include "app/endure/claim.hpp"
#include "base/units.hpp"
#include "decide/evidence/records.hpp"

namespace ascertain::app {
namespace {

// Of the software defects that stop a fleet, those that so many devices can show. Guessed: kernels
// and one device's software show themselves on one, collectives, storage and orchestration the more
// the more devices there are.
constexpr std::array<std::pair<std::string_view, double>, 5> kReach{
    {{"device", 0.3}, {"node", 0.5}, {"domain", 0.6}, {"eighth", 0.85}, {"fleet", 1.0}}};

double reach_of(const std::string& rung) {
    for (const auto& [name, ratio] : kReach)
        if (name == rung) return ratio;
    return kReach.front().second;
}

std::vector<evidence::Attempt> attempts_in(const std::vector<evidence::Record>& records) {
    std::vector<evidence::Attempt> attempts;
    for (const auto& record : records) {
        if (record.kind != "attempt") continue;
        auto attempt = evidence::attempt_from_json(record.body, record.id());
        if (attempt) attempts.push_back(*std::move(attempt));
    }
    return attempts;
}

}  // namespace

Measured learnt_from(const std::vector<evidence::Record>& records, const judge::Verdict& verdict,
                     const std::string& rung) {
    Measured measured;
    std::set<std::string> failed;
    for (const auto& check : verdict.checks) {
        if (check.weight != judge::Weight::kFail) continue;
        failed.insert(check.id);
        if (check.required) measured.blockers.push_back({check.id, check.reason});
    }
    const auto attempts = attempts_in(records);
    measured.soak = soaked_in(attempts);
    double measured_s = 0.0;
    for (const auto& attempt : attempts) {
        const bool real =
            attempt.role == evidence::Role::kMeasure || attempt.role == evidence::Role::kConfirm;
        if (real) measured_s += attempt.duration_s;
    }
    if (measured_s > 0.0) {
        measured.findings = {static_cast<double>(failed.size()), measured_s / kSecondsPerDay,
                             reach_of(rung)};
    }
    return measured;
}

}  // namespace ascertain::app
