#include "decide/report/operator_list.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "decide/report/asked.hpp"
#include "decide/report/material.hpp"
#include "decide/report/numbers.hpp"
#include "decide/report/parts.hpp"

namespace ascertain::report {
namespace {

using judge::CheckVerdict;

constexpr std::string_view kSchema = "ascertain.operators/1";
constexpr std::string_view kCoverage = "ops.coverage";
constexpr int kNothingAsked = 3;  // above every pass, below everything open

// Worst first; what is none of these is worse than composite and better than not seen.
constexpr std::array<std::string_view, 6> kSupports{"missing", "fallback",  "not_seen",
                                                    "unknown", "composite", "native"};

std::size_t rank_of(std::string_view support) {
    const auto found = std::ranges::find(kSupports, support);
    return found == kSupports.end() ? 3 : static_cast<std::size_t>(found - kSupports.begin());
}

// "mm" of "aten::mm", "vendor.fused" of "vendor::fused": as check ids have it.
std::string short_name(std::string_view name) {
    constexpr std::string_view kStandard = "aten::";
    if (name.starts_with(kStandard)) return std::string(name.substr(kStandard.size()));
    const auto colons = name.find("::");
    if (colons == std::string_view::npos) return std::string(name);
    return std::string(name.substr(0, colons)) + "." + std::string(name.substr(colons + 2));
}

class Lister {
public:
    explicit Lister(std::string device) : device_(std::move(device)) {}

    // One entry of a capture, or of what a coverage check missed.
    void add(const Json& entry, std::string_view support) {
        const std::string name = text(member(entry, "name"));
        if (name.empty() || member(entry, "compute") == Json(false)) return;
        OperatorEntry& row = row_of(short_name(name));
        if (row.operator_name.empty()) {
            row.operator_name = name.find("::") == std::string::npos ? "aten::" + name : name;
        }
        OperatorPhase phase{text(member(entry, "phase")), number(member(entry, "count")),
                            number(member(entry, "share_of_step")), std::string(support)};
        if (phase.support.empty()) phase.support = text(member(entry, "support"));
        if (phase.count) row.count = row.count.value_or(0.0) + *phase.count;
        if (phase.share_of_step)
            row.share_of_step = row.share_of_step.value_or(0.0) + *phase.share_of_step;
        if (const auto slower = number(member(entry, "slowdown_ratio")))
            row.slowdown_ratio = std::max(row.slowdown_ratio.value_or(0.0), *slower);
        const bool worst = row.support.empty() || rank_of(phase.support) < rank_of(row.support);
        if (worst && !phase.support.empty()) {
            row.support = phase.support;
            row.support_reason = text(member(entry, "support_reason"));
        }
        const std::string why = text(member(entry, "without_case_reason"));
        if (!why.empty()) row.without_check = why;
        merge(row, std::move(phase));
    }

    void add(const CheckVerdict& check) {
        const Asked asked = split(check.id);
        if (!asked.of.empty()) row_of(asked.of).checks.push_back(&check);
    }

    // The check that says which operators are there speaks of those that are not.
    void add_coverage(const CheckVerdict& check) {
        for (auto& [name, row] : rows_) {
            if (row.support == "missing" || row.support == "fallback") row.checks.push_back(&check);
        }
    }

    std::vector<OperatorEntry> take() {
        std::vector<OperatorEntry> list;
        for (auto& [name, row] : rows_) {
            std::ranges::stable_sort(row.checks, std::greater{},
                                     [](const auto* check) { return badness(*check); });
            row.badness = row.checks.empty() ? kNothingAsked : badness(*row.checks.front());
            if (row.checks.empty() && row.without_check.empty())
                row.without_check = "no check asks about it";
            if (row.support.empty()) {
                row.support = "unknown";
                row.support_reason = "ops.coverage was not asked of this device";
            }
            list.push_back(std::move(row));
        }
        return list;
    }

private:
    OperatorEntry& row_of(const std::string& name) {
        OperatorEntry& row = rows_[name];
        row.name = name;
        row.device = device_;
        return row;
    }

    // Overloads of one operator are one line of its phase.
    static void merge(OperatorEntry& row, OperatorPhase phase) {
        const auto same = std::ranges::find(row.phases, phase.phase, &OperatorPhase::phase);
        if (same == row.phases.end()) {
            row.phases.push_back(std::move(phase));
            return;
        }
        if (phase.count) same->count = same->count.value_or(0.0) + *phase.count;
        if (phase.share_of_step)
            same->share_of_step = same->share_of_step.value_or(0.0) + *phase.share_of_step;
        if (rank_of(phase.support) < rank_of(same->support)) same->support = phase.support;
    }

    std::string device_;
    std::map<std::string, OperatorEntry> rows_;
};

// What ops.coverage found on the device: its list, and what its step lacks.
bool add_measured_coverage(const Material& material, const std::string& device, Lister& lister) {
    const RecordedAttempt* attempt = measured(material, kCoverage, device);
    if (attempt == nullptr) return false;
    for (const Json& entry : member(attempt->attempt.detail, "operators")) lister.add(entry, "");
    for (const Json& entry : member(attempt->attempt.detail, "not_seen")) lister.add(entry, "");
    for (const Json& entry : member(attempt->attempt.detail, "missing"))
        lister.add(entry, text(member(entry, "support")).empty() ? "missing" : "");
    return true;
}

Json optional_json(const std::optional<double>& value) {
    return value ? finite_or_null(*value) : Json();
}

Json document_of(const OperatorEntry& entry) {
    Json checks = Json::array();
    for (const CheckVerdict* check : entry.checks) {
        checks.push_back({{"id", check->id},
                          {"status", judge::name_of(check->status)},
                          {"reason", check->reason},
                          {"reproduce", check->reproduce}});
    }
    Json phases = Json::array();
    for (const OperatorPhase& phase : entry.phases) {
        phases.push_back({{"phase", phase.phase},
                          {"count", optional_json(phase.count)},
                          {"share_of_step", optional_json(phase.share_of_step)},
                          {"support", phase.support.empty() ? Json() : Json(phase.support)}});
    }
    Json row = {{"name", entry.name},
                {"operator", entry.operator_name.empty() ? Json() : Json(entry.operator_name)},
                {"device", entry.device},
                {"count", optional_json(entry.count)},
                {"share_of_step", optional_json(entry.share_of_step)},
                {"support", entry.support}};
    row["support_reason"] = entry.support_reason.empty() ? Json() : Json(entry.support_reason);
    row["slowdown_ratio"] = optional_json(entry.slowdown_ratio);
    row["status"] = entry.checks.empty() ? Json("UNTESTED")
                                         : Json(judge::name_of(entry.checks.front()->status));
    const std::string why =
        entry.checks.empty() ? entry.without_check : entry.checks.front()->reason;
    row["status_reason"] = why.empty() ? Json() : Json(why);
    row["phases"] = std::move(phases);
    row["checks"] = std::move(checks);
    return row;
}

}  // namespace

std::vector<OperatorEntry> operator_list(const Material& material, const Json& captured) {
    std::vector<std::string> devices;
    for (const CheckVerdict& check : material.verdict().checks) {
        if (is_compute(check) && std::ranges::find(devices, check.device) == devices.end())
            devices.push_back(check.device);
    }
    std::vector<OperatorEntry> all;
    for (const std::string& device : devices) {
        Lister lister(device);
        if (!add_measured_coverage(material, device, lister) && captured.is_array()) {
            // The reference's own support says nothing of this device.
            for (Json entry : captured) {
                entry.erase("support");
                lister.add(entry, "");
            }
        }
        const CheckVerdict* coverage = nullptr;
        for (const CheckVerdict& check : material.verdict().checks) {
            if (check.device != device || !is_compute(check)) continue;
            lister.add(check);
            if (check.id == kCoverage) coverage = &check;
        }
        if (coverage != nullptr) lister.add_coverage(*coverage);
        for (OperatorEntry& entry : lister.take()) all.push_back(std::move(entry));
    }
    std::ranges::stable_sort(all, [](const OperatorEntry& a, const OperatorEntry& b) {
        if (a.badness != b.badness) return a.badness > b.badness;
        return a.share_of_step.value_or(-1.0) > b.share_of_step.value_or(-1.0);
    });
    return all;
}

Json operators_document(const ReportInput& input, const Json& captured) {
    const Material material = gather(input);
    Json rows = Json::array();
    for (const OperatorEntry& entry : operator_list(material, captured))
        rows.push_back(document_of(entry));
    Json of_device = Json::array();
    for (const CheckVerdict* check : worst_first(input.verdict)) {
        if (!is_compute(*check) || !split(check->id).of.empty()) continue;
        of_device.push_back({{"id", check->id},
                             {"device", check->device},
                             {"status", judge::name_of(check->status)},
                             {"reason", check->reason},
                             {"reproduce", check->reproduce}});
    }
    return {{"schema", kSchema},
            {"verdict", judge::name_of(input.verdict.verdict)},
            {"profile", input.verdict.profile},
            {"operators", std::move(rows)},
            {"of_device", std::move(of_device)}};
}

}  // namespace ascertain::report
