// One history slice by slice: how each part of its wall time was spent.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "predict/goodput/history.hpp"

namespace ascertain::goodput {

// What had been booked when. Times between two bookings are not complete: their sum is below `now`.
struct Snapshot {
    Ticks now = 0;
    std::array<Ticks, kShares> booked{};
};

struct Timeline {
    double slice_s = 0.0;
    std::vector<std::array<double, kShares>> slices;  // seconds, each adding up to slice_s
    std::uint64_t history = 0;                        // its index under the projection's seed
    std::int64_t chosen_from = 1;  // histories, of which it is the one of median length
};

// `count` slices of equal length. Work that was lost later is shown as rework where it was done.
// Empty for no snapshots or a history without duration.
[[nodiscard]] Timeline timeline_of(const std::vector<Snapshot>& snapshots, std::size_t count);

}  // namespace ascertain::goodput
