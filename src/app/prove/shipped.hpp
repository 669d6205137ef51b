// The proofs that ship with the program: data/proofs/proofs.json, signatures.json, and the page
// docs/detection.md.
#pragma once

#include <string>
#include <vector>

#include "app/home.hpp"
#include "app/prove/catalogue.hpp"
#include "app/prove/results.hpp"
#include "decide/judge/criteria.hpp"
#include "decide/judge/proofs.hpp"

namespace ascertain::app {

// What a proof of this check depends on: its row in the table and the criteria that name it.
[[nodiscard]] std::string proof_key(const checks::Definition& definition,
                                    const judge::CriteriaSet& criteria);

// The shipped proofs that still hold: of checks whose row and criteria are those that were proven.
// A folder without proofs has none.
[[nodiscard]] judge::Proofs shipped_proofs(const Home& home, const judge::CriteriaSet& criteria);

// Checks whose shipped proof is stale, by id.
[[nodiscard]] std::vector<std::string> stale_proofs(const Home& home,
                                                    const judge::CriteriaSet& criteria);

// Writes the three anew from a proof that went to its end with every check of each chip. Error:
// kEvidence.
[[nodiscard]] Result<void> write_shipped(const Home& home, const judge::CriteriaSet& criteria,
                                         const std::vector<CataloguedDefect>& defects,
                                         const ProofResults& results);

}  // namespace ascertain::app
