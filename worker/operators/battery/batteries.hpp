// The table of batteries: each is a set of questions about a device that needs no model, answered
// by comparing with what arithmetic says. docs/formulas.md#batteries.
#pragma once

#include <span>
#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"
#include "worker/operators/battery/bench.hpp"

namespace ascertain::operators::battery {

struct Battery {
    std::string_view name;
    void (*run)(Bench& bench);
};

// Every battery, the most revealing first.
[[nodiscard]] std::span<const Battery> batteries();

void integer_products(Bench& bench);  // products of whole numbers, which have no rounding
void shapes(Bench& bench);            // every operator at awkward sizes
void layouts(Bench& bench);           // every operator on views, among canaries
void gradients(Bench& bench);         // every operator's backward pass
void long_sums(Bench& bench);         // products with long sums of positive terms
void accumulator(Bench& bench);       // what the matrix unit's arithmetic is
void special_values(Bench& bench);    // NaN, infinities, zeros, the largest, the smallest
void every_input(Bench& bench);       // functions and casts over all 16-bit inputs
void attention(Bench& bench);
void loss(Bench& bench);
void random_numbers(Bench& bench);
void optimizer(Bench& bench);
void overflow(Bench& bench);
void experts(Bench& bench);
void indices(Bench& bench);    // duplicates, ties, whole-number arithmetic
void memory(Bench& bench);     // patterns, copies to and from the host
void endurance(Bench& bench);  // the same small calls, many times, without waiting
void large(Bench& bench);      // sizes where indices overflow
void timing(Bench& bench);     // calls that are slow beyond reason

}  // namespace ascertain::operators::battery

namespace ascertain::operators {

// The request `numerics` of docs/protocol.md.
Result<Json> numerics(worker::Session& session, const Json& params);

}  // namespace ascertain::operators
