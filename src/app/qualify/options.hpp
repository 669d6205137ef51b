// What `qualify` and the commands that ask a part of it are asked on the command line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/agents.hpp"
#include "app/format.hpp"
#include "app/plan_wish.hpp"
#include "app/situation.hpp"
#include "measure/checks/check.hpp"

namespace CLI {
class App;
}

namespace ascertain::app {

struct QualifyOptions {
    Overrides inputs;
    std::vector<std::string> devices;  // empty: as the campaign says
    std::int64_t ranks = 0;            // processes that are asked together; 0: one per device
    Seconds soak{0.0};                 // how long to soak; 0: as the profile says
    checks::Profile profile = checks::Profile::kQuick;
    std::string rung = "device";
    std::string reuse;  // evidence of an earlier run whose answers are taken over; empty: none
    std::string out;    // evidence directory; empty: evidence/<campaign>-<time>
    std::uint64_t seed = 1;
    std::vector<std::string> only;
    std::vector<std::string> skip;
    std::string defects;  // armed in the simulated devices; empty: they are healthy
    bool dry_run = false;
    bool resume = false;
    PlanWish wish;  // constraints on the plan
    std::string command = "qualify";
    // What this command asks alone, as a pattern: "@learn", "links"; empty: the whole. The required
    // set is fixed to it, and the verdict's scope says so.
    std::string part;
    AgentOptions agents;

    // Of `ops` alone.
    std::string one_case;   // replay this: an id, or a file
    std::string cases;      // replay those of this file instead of capturing a step
    std::string module;     // FILE.py:FUNCTION: the operators of this module, and it as a whole
    bool autocast = false;  // the step runs under torch's autocast
    Format format = Format::kTable;

    // What the user brought is asked about, not what the model's step has.
    [[nodiscard]] bool replays() const {
        return !one_case.empty() || !cases.empty() || !module.empty();
    }
    // `part` as the verdict's scope names it.
    [[nodiscard]] std::string part_name() const {
        if (replays()) return "cases";
        if (part.empty()) return "whole";
        return part.front() == '@' ? part.substr(1) : part;
    }

    // `links` and `soak` put their questions to all ranks together, and capture no training step.
    [[nodiscard]] bool asks_ranks() const { return command == "links" || command == "soak"; }

    // Of `handoff`: the folder of the weights that are carried (empty: the trial's model with
    // weights from a seed) and the precision they are served in (empty: the campaign's).
    std::string weights_folder;
    std::string serve_dtype;
};

// Declares the flags that the whole and its parts share.
void add_qualify_flags(CLI::App& flags, QualifyOptions& options);

}  // namespace ascertain::app
