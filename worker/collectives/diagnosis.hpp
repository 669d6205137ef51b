// From what arrived instead of what should have: what happened, and whose contribution it was. A
// pure function of the numbers; payload.hpp has the data that makes the ranks tell apart.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "worker/collectives/payload.hpp"

namespace ascertain::collectives {

struct Finding {
    // missing | twice | stale (of one rank: what it sent the time before) | old_result (the whole
    // result of the time before) | own_only | scaled | order (the piece of another rank) | zeros |
    // corrupt (none of these)
    std::string_view what = "corrupt";
    int culprit = -1;             // the rank whose data is wrong; -1: not to be told
    std::int64_t iteration = 0;   //
    std::int64_t byte_begin = 0;  // of what this rank received: first wrong byte ...
    std::int64_t byte_end = 0;    // ... and behind the last
    std::int64_t wrong = 0;       // elements
};

// Of a reduction at `rank`: `got` are the numbers that arrived, NaN included. Empty: all is right.
// Several ranks may be to blame for parts; one finding names the one that explains most.
// Cost: ranks x wrong elements, of which the first 65,536 are looked at.
[[nodiscard]] std::vector<Finding> diagnose_sum(const Payload& payload, std::int64_t iteration,
                                                int rank, std::span<const double> got);

// Of a move at `rank`: `got` are the bytes that arrived. One finding for each sender's piece that
// is wrong.
[[nodiscard]] std::vector<Finding> diagnose_move(const Payload& payload, std::int64_t iteration,
                                                 int rank, std::span<const std::uint8_t> got);

[[nodiscard]] Json to_json(const Finding& finding);

}  // namespace ascertain::collectives
