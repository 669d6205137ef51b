// Counter-based random numbers: value number n of stream s under seed k is a pure function of
// (k, s, n), so the same seed gives the same numbers on any machine, in any order, on any thread.
#pragma once

#include <array>
#include <cstdint>

namespace ascertain {

// Philox 4x32 with 10 rounds. Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011, section 3.3; constants from table 2 there. Four 32-bit words per counter.
[[nodiscard]] std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                                      std::array<std::uint32_t, 2> key);

// A stream of numbers under (seed, stream). Copyable; a copy goes on from the same place.
class Random {
public:
    // Begins at `block`; a block holds two numbers of next_u64(), or one of normal().
    Random(std::uint64_t seed, std::uint64_t stream, std::uint64_t block = 0)
        : seed_(seed), stream_(stream), counter_(block) {}

    [[nodiscard]] std::uint64_t next_u64();
    // Uniform in [0, 1), 53 bits.
    [[nodiscard]] double uniform();
    // Uniform integer in [0, bound); bound >= 1. Unbiased (Lemire, TOMACS 2019).
    [[nodiscard]] std::uint64_t below(std::uint64_t bound);
    // Standard normal by Box-Muller.
    [[nodiscard]] double normal();
    // Exponential with mean 1.
    [[nodiscard]] double exponential();

private:
    std::uint64_t seed_;
    std::uint64_t stream_;
    std::uint64_t counter_;
    std::array<std::uint32_t, 4> block_{};
    unsigned used_ = 4;  // words of block_ already given out
};

}  // namespace ascertain
