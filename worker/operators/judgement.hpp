// From one output and its reference to the metrics of docs/protocol.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/observation.hpp"
#include "worker/operators/compare.hpp"
#include "worker/operators/family.hpp"

namespace ascertain::operators {

// What is known of one output.
struct Judged {
    std::string name;
    std::string dtype;
    Rule rule = Rule::kExact;
    std::int64_t elements = 0;          // that were compared
    std::int64_t exact_mismatches = 0;  // kExact
    Distance distance;                  // floating outputs
    // The size of error that a legal fp32 arithmetic makes, root mean square; kErrorRatio.
    double legal_rms = 0.0;
    // Root mean square error of an emulated kernel of the family; 0 where there is none.
    double emulated_rms = 0.0;
    double bias_allowed = 0.0;  // relative; 0 where bias is not part of the bound
    // Whether the share and the ratio of errors mean something: not for a handful of elements, and
    // not where a second rounding is part of the operator.
    bool is_bulk = false;
};

// What a matrix product's share of outputs not correctly rounded is held against.
struct Reduction {
    std::int64_t length = 0;               // terms of each sum
    std::optional<double> emulated_share;  // of a legal truncating accumulator on the same inputs
    std::int64_t emulated_elements = 0;
};

// rms error over legal_rms; 0 when there is no error.
[[nodiscard]] double error_ratio(const Judged& judged);
// The worst of: an element over its bound, twice the emulated root mean square, the allowed bias.
// For kRounding the bound is one ulp: half of it is the one rounding, the rest more than any fp32
// accumulation adds.
[[nodiscard]] double bound_ratio(const Judged& judged);

// The metrics over all outputs; those that no output is judged by are absent, with the reason.
[[nodiscard]] Observation observation_of(const std::vector<Judged>& outputs,
                                         const std::optional<Reduction>& reduction);

// {name, dtype, elements, rule, ...} for each output.
[[nodiscard]] Json outputs_document(const std::vector<Judged>& outputs);
// {output, index, got, expected}, or null when nothing differs.
[[nodiscard]] Json worst_document(const std::vector<Judged>& outputs);
// {ulp_edges[], counts[], legal_ulp}: up to legal_ulp no element is wrong by itself (where a bound
// is given, that of the worst element); null where only means are judged.
[[nodiscard]] Json histogram_document(const std::vector<Judged>& outputs);

}  // namespace ascertain::operators
