// What `qualify`, `ops` and `trial` are asked on the command line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/format.hpp"
#include "app/situation.hpp"
#include "measure/checks/check.hpp"
#include "predict/cost/search.hpp"

namespace CLI {
class App;
}

namespace ascertain::app {

struct QualifyOptions {
    Overrides inputs;
    std::vector<std::string> devices;  // empty: as the campaign says
    checks::Profile profile = checks::Profile::kQuick;
    std::string rung = "device";
    std::string out;  // evidence directory; empty: evidence/<campaign>-<time>
    std::uint64_t seed = 1;
    std::vector<std::string> only;
    std::vector<std::string> skip;
    std::string defects;  // armed in the simulated devices; empty: they are healthy
    bool dry_run = false;
    bool resume = false;
    cost::SearchOptions search;  // constraints on the plan
    std::string command = "qualify";

    // Of `ops` alone.
    std::string one_case;  // replay this: an id, or a file
    std::string cases;     // replay those of this file instead of capturing a step
    bool autocast = false;  // the step runs under torch's autocast
    Format format = Format::kTable;

    // Given cases are replayed, not those that the model's step has.
    [[nodiscard]] bool replays() const { return !one_case.empty() || !cases.empty(); }

    // Of `handoff`: the folder of the weights that are carried (empty: the trial's model with
    // weights from a seed) and the precision they are served in (empty: the campaign's).
    std::string weights_folder;
    std::string serve_dtype;
};

// Declares the flags that all three share.
void add_qualify_flags(CLI::App& flags, QualifyOptions& options);

}  // namespace ascertain::app
