// Whole runs for tests: a healthy standard run on one accelerator, and what may happen to it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "decide/evidence/chain.hpp"
#include "decide/evidence/records.hpp"
#include "decide/judge/judge.hpp"

namespace ascertain::judge::testing_scenario {

inline constexpr std::string_view kNow = "2026-11-25T00:00:00Z";

struct Entry {
    std::string kind;
    Json body;
};

inline std::vector<evidence::Record> chained(const std::vector<Entry>& entries) {
    std::vector<evidence::Record> records;
    std::string head{evidence::kChainStart};
    for (const auto& entry : entries) {
        evidence::Record record{
            records.size() + 1, entry.kind, "2026-11-24T00:00:00.000Z", head, {}, entry.body};
        const auto line = evidence::to_line(record);
        ASCERTAIN_ASSERT(line.ok());
        head = record.hash;
        // As it is read back: text that was no UTF-8 is mended by then.
        records.push_back(
            *evidence::from_line(std::string_view(*line).substr(0, line->size() - 1), record.id()));
    }
    return records;
}

// Bounds simple enough to reason about: `value` of any check is at most 1.
inline CriteriaSet simple_criteria() {
    const std::vector<CriteriaText> files{{"simple.toml", R"([[criterion]]
id = "simple"
check = "*"
rule = "value"
bounds = [{ metric = "value", at_most = 1 }]
source = "test"
derivation = "test"
)"}};
    return std::move(CriteriaSet::parse(files).value());
}

inline evidence::Attempt attempt(std::string check, evidence::Role role, double value) {
    evidence::Attempt made;
    made.check = std::move(check);
    made.device = "npu:0";
    made.role = role;
    made.seed = role == evidence::Role::kConfirm ? 2 : 1;
    made.outcome = evidence::Outcome::kCompleted;
    made.observation = {{"value", value, "ratio", 1, {}, {}, ""}};
    made.duration_s = 1.0;
    made.started_utc = "2026-11-24T00:00:00Z";
    return made;
}

inline Entry entry(const evidence::Attempt& made) {
    return {"attempt", evidence::to_json(made)};
}

// What a test may change before the run is put together.
struct Plan {
    std::string profile = "standard";
    std::string rung = "device";
    std::string device = "npu:0";
    std::vector<evidence::PlannedCheck> checks{
        {"ops.numerics.mm", "npu:0", "compute", "ops.numerics", true, false, true, 1.0},
        {"ops.numerics.add", "npu:0", "compute", "ops.numerics", true, false, true, 1.0},
        {"trial.forced", "npu:0", "learn", "trial", true, false, true, 1.0},
        {"speed.mm", "npu:0", "compute", "speed", false, true, false, 1.0},
    };
    std::vector<std::string> left_out;
    Json descriptions =
        Json::array({Json{{"device", "npu:0"}, {"type", "npu"}, {"name", "Ascend910B2"}}});
    Json campaign = Json{
        {"fleets",
         Json::array({Json{{"chip", "ascend-910b2"}, {"count", 8192}, {"chips_per_node", 8}}})},
        {"decision", {{"confidence", 0.9}}}};
};

inline Entry context_entry(const Plan& plan) {
    evidence::SessionContext context;
    context.tool_version = "0.1.0";
    context.host = "node1";
    context.time_utc = "2026-11-24T00:00:00Z";
    context.campaign = plan.campaign;
    context.devices = plan.descriptions;
    context.software = Json{{"torch", "2.13.0"}};
    return {"context", evidence::to_json(context)};
}

// Context, required set, predictions; then, from `first_attempt` on, the attempts; then the end.
inline std::vector<Entry> healthy(const Plan& plan) {
    using evidence::Role;
    std::vector<Entry> entries{context_entry(plan)};
    entries.push_back({"required", evidence::to_json(evidence::RequiredSet{
                                       plan.profile, plan.rung, 7, plan.checks, plan.left_out})});
    entries.push_back({"prediction", evidence::to_json(evidence::Prediction{
                                         "speed.mm.value", "speed.mm", plan.device, "value", 0.5,
                                         0.25, 0.75, "s", true, Json::array()})});
    const auto add = [&](evidence::Attempt made) {
        made.device = plan.device;
        entries.push_back(entry(made));
    };
    for (const auto& check : plan.checks) {
        add(attempt(check.id, Role::kMeasure, 0.5));
    }
    for (const char* check : {"ops.numerics.mm", "trial.forced"}) {
        add(attempt(check, Role::kControl, 100.0));
        add(attempt(check, Role::kControlClean, 0.5));
    }
    entries.push_back({"finished", evidence::to_json(evidence::SessionEnd{true, "done", 10.0})});
    return entries;
}

inline Verdict judged(const std::vector<Entry>& entries, const std::vector<Waiver>& waivers) {
    auto verdict = judge(chained(entries), simple_criteria(), waivers, kNow);
    ASCERTAIN_ASSERT(verdict.ok());
    return std::move(*verdict);
}
inline Verdict judged(const std::vector<Entry>& entries) {
    return judged(entries, {});
}

}  // namespace ascertain::judge::testing_scenario
