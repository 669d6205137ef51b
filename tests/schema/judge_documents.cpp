// Writes the documents that the judge and the evidence emit, for schema_test.py to hold against
// data/schema: a qualified run, one in which everything went wrong, one that is empty.
#include <fstream>
#include <iostream>

#include "decide/evidence/chain.hpp"
#include "decide/judge/scenario.hpp"

namespace {

using namespace ascertain;
using evidence::Outcome;
using evidence::Role;
using judge::testing_scenario::attempt;
using judge::testing_scenario::chained;
using judge::testing_scenario::Entry;
using judge::testing_scenario::entry;
using judge::testing_scenario::healthy;
using judge::testing_scenario::kNow;
using judge::testing_scenario::Plan;
using judge::testing_scenario::simple_criteria;

// Every outcome once, a failed check, a waived one, a broken prediction, a projection, a cut.
std::vector<Entry> troubled() {
    Plan plan;
    plan.profile = "quick";
    plan.left_out = {"serve.handoff: filtered by --skip"};
    for (int outcome = 0; outcome < 9; ++outcome) {
        plan.checks.push_back({"made.up." + std::to_string(outcome), "npu:0", "endure", "made",
                               true, false, false, 1.0});
    }
    auto entries = healthy(plan);
    entries.pop_back();
    for (auto& item : entries) {
        if (item.kind == "attempt" && item.body["check"] == "speed.mm") {
            item = entry(attempt("speed.mm", Role::kMeasure, 9.0));
        }
        if (item.kind != "attempt" ||
            item.body["check"].get<std::string>().rfind("made.", 0) != 0) {
            continue;
        }
        const auto id = item.body["check"].get<std::string>();
        auto made = attempt(id, Role::kMeasure, 1.0 / 0.0);
        made.outcome = static_cast<Outcome>(id.back() - '0');
        made.message = "library said: \xff";
        item = entry(made);
    }
    auto failed = attempt("ops.numerics.mm", Role::kMeasure, 5.0);
    failed.number = 2;
    entries.push_back(entry(failed));
    entries.push_back(entry(attempt("ops.numerics.mm", Role::kConfirm, 5.0)));
    entries.push_back({"plan", Json{{"document", Json::object()}}});
    entries.push_back(
        {"projection",
         Json{{"document", {{"probability_of_deadline", {{"low", 0.1}, {"high", 0.4}}}}}}});
    entries.push_back({"interrupted", to_json(evidence::SessionEnd{false, "Ctrl-C", 1.0})});
    return entries;
}

void write(const std::string& path, std::string_view text) {
    std::ofstream(path, std::ios::binary) << text;
}

void write_run(const std::string& folder, const std::string& name,
               const std::vector<Entry>& entries, const std::vector<judge::Waiver>& waivers) {
    const auto records = chained(entries);
    std::string lines;
    for (auto record : records) lines += *evidence::to_line(record);
    write(folder + "/" + name + ".record.jsonl", lines);
    const auto verdict = judge::judge(records, simple_criteria(), waivers, kNow);
    write(folder + "/" + name + ".verdict.json", to_json(*verdict).dump(2));
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::cerr << "usage: judge_documents FOLDER\n";
        return 64;
    }
    const std::string folder = argv[1];
    write_run(folder, "qualified", healthy(Plan{}), {});
    write_run(folder, "troubled", troubled(), {{"made.up.4", "A. Person", "2027-01-01", "known"}});
    write_run(folder, "empty", {}, {});
    return 0;
}
