// What `ascertain prove` has shown of the checks: data/proofs/proofs.json.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

namespace ascertain::judge {

// One row of the table of checks has caught planted faults.
struct Proof {
    std::string check;                // "ops.numerics": the row, not one of its subjects
    std::string key;                  // hash of the row and its criteria when it was proven
    std::vector<std::string> caught;  // ids of the defects

    // Short name of the proof: a hash of all it says.
    [[nodiscard]] std::string hash() const;
};

using Proofs = std::vector<Proof>;

// The proof of the row that `check` belongs to, or null.
[[nodiscard]] const Proof* proof_of(const Proofs& proofs, std::string_view check);

// Error: kBadInput naming what is wrong.
[[nodiscard]] Result<Proofs> read_proofs(std::string_view text, std::string_view name);
[[nodiscard]] Json to_json(const Proofs& proofs);

}  // namespace ascertain::judge
