// What ranks send one another: data that is a pure function of seed, iteration, rank and place, so
// that every rank knows what must arrive, and from what arrives instead, who is to blame. Plain
// numbers; tensors are made of them elsewhere.
#pragma once

#include <cstdint>
#include <vector>

#include "worker/collectives/fabric.hpp"

namespace ascertain::collectives {

// One collective's data.
struct Payload {
    Kind kind = Kind::kAllReduce;
    std::uint64_t seed = 0;
    int ranks = 1;
    std::int64_t elements = 0;  // of one rank's piece
    // Reductions: the largest whole number up to which every whole number is a number of the dtype
    // (2^8 in bf16, 2^11 in fp16, 2^24 in fp32; 1 stands for booleans, which are or-ed). Every
    // partial sum, in any order, stays below it, so that no order and no rounding can be seen.
    std::int64_t exact_limit = 0;
    std::int64_t element_bytes = 1;
};

// Elements that a rank puts in, and that come out at a rank (fabric.hpp).
[[nodiscard]] std::int64_t elements_in(const Payload& payload);
[[nodiscard]] std::int64_t elements_out(const Payload& payload);

// Reductions: what `rank` contributes in `iteration` to element `index` of the whole, which has
// elements_in(payload).
[[nodiscard]] std::int32_t contribution(const Payload& payload, std::int64_t iteration, int rank,
                                        std::int64_t index);
// What must come out at `rank`: [elements_out].
[[nodiscard]] std::vector<std::int32_t> reduced(const Payload& payload, std::int64_t iteration,
                                                int rank);

// Moves: the bytes of the piece that `from` sends to `to`: [elements x element_bytes]. Broadcast
// and gather send everybody the same: `to` is then ignored.
[[nodiscard]] std::vector<std::uint8_t> piece(const Payload& payload, std::int64_t iteration,
                                              int from, int to);
// The ranks whose pieces lie one after another in what `rank` receives.
[[nodiscard]] std::vector<int> senders(const Payload& payload, int rank);

}  // namespace ascertain::collectives
