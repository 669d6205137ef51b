// The share of a model that one rank holds and computes.
#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "model/architecture.hpp"

namespace ascertain::model {

// Degrees of parallelism inside a layer; 1: not split. Pipeline and data parallelism do not change
// what a layer is, so they are not here.
struct Shard {
    std::int64_t tp = 1;             // tensor parallel: heads, MLP columns, vocabulary
    std::int64_t ep = 1;             // expert parallel: routed experts
    std::int64_t etp = 1;            // tensor parallel degree inside an expert
    std::int64_t cp = 1;             // context parallel: tokens of a sequence
    bool sequence_parallel = false;  // norms and residual stream split over the TP group

    bool operator==(const Shard&) const = default;
};

// The narrower architecture that one rank builds: heads / tp, MLP columns / tp, vocabulary / tp,
// local experts / ep, expert columns / etp. Key-value heads are repeated when there are fewer than
// TP ranks. What every rank holds whole (norms, router, latent down-projections) is unchanged.
// Errors: kBadInput with `where` = "name: field" for the field that does not divide, kOutOfRange
// for a degree below 1.
[[nodiscard]] Result<Architecture> shard_architecture(const Architecture& architecture,
                                                      const Shard& shard);

}  // namespace ascertain::model
