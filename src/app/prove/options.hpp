// What `prove` is asked on the command line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/format.hpp"

namespace CLI {
class App;
}

namespace ascertain::app {

// Which profiles a defect is shown to.
enum class ProofDepth {
    kQuickThenStandard,  // standard only for what quick missed
    kQuick,
    kStandard,
};

struct ProveOptions {
    std::string defects;               // a file or a folder; empty: data/defects
    bool limits = false;               // detection limits and nothing else
    bool healthy = false;              // the healthy variants and nothing else
    std::string variants;              // folder of healthy variants; empty: data/variants
    std::vector<std::string> variant;  // only those of these names; empty: all
    std::int64_t seeds = 0;            // of every healthy variant; 0: one, or 25 with --healthy
    std::vector<std::string> only;     // ID with '*', @class or @plane
    std::int64_t sample = 0;           // so many of the selected, drawn with `seed`; 0: all
    std::uint64_t seed = 1;
    ProofDepth depth = ProofDepth::kQuickThenStandard;
    std::int64_t jobs = 0;  // chips at once; 0: as many as there are processors
    Format format = Format::kTable;
    std::string out;  // where results are kept as they come; empty: nowhere
    bool resume = false;
    bool all_checks = false;    // go on after the first catch
    bool write_proofs = false;  // renew what ships
};

// Declares the flags.
void add_prove_flags(CLI::App& flags, ProveOptions& options);

}  // namespace ascertain::app
