// Large outputs are judged by a sample of their rows and columns, so that nothing is skipped for
// want of a reference.
#pragma once

#include <cstdint>
#include <vector>

#include "worker/operators/family.hpp"
#include "worker/operators/inputs.hpp"

namespace ascertain::operators {

// Outputs up to here are judged whole; those that are computed element by element up to the second
// number: what one row shows, another one does not contradict.
inline constexpr std::int64_t kWholeElementsMax = std::int64_t{1} << 24;
inline constexpr std::int64_t kWholeRowwiseMax = std::int64_t{1} << 22;

enum class SampleKind {
    kWhole,    // everything
    kRows,     // rows of the first dimension, of inputs and outputs alike
    kMatrix,   // rows of the left matrix, columns of the right one
    kColumns,  // the last dimension of inputs and outputs
};

// The sample that suits an operator with these arguments and outputs.
[[nodiscard]] SampleKind sample_kind(const Case& operator_case, Family family, const Stack& stack,
                                     const std::vector<Output>& outputs);

// The stack of the small call that gives just the sampled outputs. `stack` is on the CPU.
[[nodiscard]] Stack sampled_stack(const Case& operator_case, SampleKind kind, std::uint64_t seed,
                                  const Stack& stack);

// The part of the outputs that the small call gives. Outputs are on the CPU.
[[nodiscard]] std::vector<Output> sampled_outputs(SampleKind kind, std::uint64_t seed,
                                                  const std::vector<Output>& outputs);

}  // namespace ascertain::operators
