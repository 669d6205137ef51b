// A proof for people.
#pragma once

#include "app/format.hpp"
#include "app/prove/results.hpp"
#include "app/table.hpp"
#include "app/terminal.hpp"

namespace ascertain::app {

// One word and what stands behind it: "caught by ops.numerics.mm FAILED".
[[nodiscard]] std::string outcome_of(const DefectResult& result);

// "seen down to 1e-05, not at 3e-06 (ops.numerics.mm)".
[[nodiscard]] std::string words_of(const DetectionLimit& limit);

void print_results(const Terminal& terminal, const ProofResults& results, Format format);

}  // namespace ascertain::app
