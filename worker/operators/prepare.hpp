// What replay, repeat and time have in common: reading the request and running the operator.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "worker/operators/inputs.hpp"
#include "worker/operators/tamper.hpp"

namespace ascertain::operators {

struct Prepared {
    Case operator_case;
    c10::OperatorHandle op;
    std::uint64_t seed = 0;
    std::optional<Tamper> tamper;
};

// Reads `{case, seed, tamper?}`. Errors: kBadInput for a request that is not right, kUnsupported
// for an operator that this torch does not have, kEnvironment when the host has not the memory that
// `copies` sets of the inputs need.
[[nodiscard]] Result<Prepared> prepare(const Json& params, double copies);

// Whether the call draws random numbers: its values cannot be foretold and need not repeat. Dropout
// with probability zero does not.
[[nodiscard]] bool is_random(const Prepared& prepared);

// A whole member between bounds.
[[nodiscard]] Result<std::int64_t> count_at(const Json& params, std::string_view key,
                                            std::int64_t low, std::int64_t high);

// Runs the operator on `stack` and brings its outputs to the CPU. Errors: kUnsupported,
// kEnvironment (memory) and kDeviceUnavailable (it raised).
[[nodiscard]] Result<std::vector<Output>> run_on_device(const Prepared& prepared,
                                                        const Stack& stack);

// Waits until the device has done everything that was asked of it.
void synchronise(at::Device device);

}  // namespace ascertain::operators
