// An accelerator on paper. Peaks are dense and per package, bandwidths per direction.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "predict/catalog/figure.hpp"

namespace ascertain::catalog {

// Number formats a matrix unit may have a peak for.
enum class Format { kFp32, kTf32, kBf16, kFp16, kFp8, kFp4, kInt8 };
inline constexpr std::size_t kFormatCount = 7;

[[nodiscard]] std::string_view name_of(Format format);

// Another figure in circulation for a field ("peak_dense.bf16"), kept as its source printed it.
struct Conflict {
    std::string field;
    Figure<double> figure;
};

// The best matrix product somebody measured: one shape, not an average.
struct AchievedMatmul {
    Figure<double> fraction;
    Figure<FlopsPerSecond> rate;
    Figure<FlopsPerSecond> peak_used;  // the denominator of `fraction`
    std::string note;
};

// Starting values of a vendor's own performance model, not calibrated.
struct PlanningDefaults {
    Figure<double> compute_efficiency;
    Figure<double> memory_efficiency;
    Figure<double> communication_efficiency;
    Figure<Seconds> matmul_start;
    Figure<Seconds> vector_start;
    Figure<Seconds> collective_start;
};

struct Chip {
    std::string id;
    std::string vendor;
    std::string name;
    std::string status;  // "shipping", "announced" ...
    std::vector<std::string> aliases;
    std::string notes;
    Figure<double> year;
    Figure<double> process_nm;
    Figure<double> devices_per_package;  // 2 where software sees each die as a device

    std::array<Figure<FlopsPerSecond>, kFormatCount> peak_dense;
    Figure<Bytes> memory;  // as printed; usable memory is smaller
    Figure<BytesPerSecond> memory_bandwidth;
    std::string memory_type;

    std::string scale_up_network;  // id in data/networks
    std::string scale_up_name;
    Figure<BytesPerSecond> scale_up_per_direction;
    Figure<double> scale_up_domain;  // chips
    Figure<BytesPerSecond> scale_out_per_chip;
    Figure<BytesPerSecond> host_link_per_direction;  // to the memory of its host

    Figure<Watts> power;
    Figure<Dollars> purchase;
    Figure<Dollars> rental_per_hour;
    // Device-hours between interruptions: divide by the number of devices for a fleet's figure.
    Figure<Seconds> interruption_interval;
    // What a soak of such devices saw, in all of their hours together (`ascertain calibrate`).
    Figure<Seconds> soak_time;
    Figure<double> soak_failures;
    // One device's worker writing and reading a checkpoint alone: so many of them can at most do as
    // many times as much together.
    Figure<BytesPerSecond> checkpoint_write_per_device;
    Figure<BytesPerSecond> checkpoint_read_per_device;

    AchievedMatmul achieved;
    PlanningDefaults planning;
    std::string software_stack;
    std::string torch_device;  // "cuda", "npu" ...: does not identify the chip
    std::string torch_plugin;
    std::string software_note;
    std::string export_note;
    std::string export_source;
    std::vector<Conflict> conflicts;

    [[nodiscard]] const Figure<FlopsPerSecond>& peak(Format format) const {
        return peak_dense[static_cast<std::size_t>(format)];
    }
};

// Reads one data/chips file. `name` is what errors call it. kBadInput with file:line:column for
// malformed TOML, unknown or missing keys (with near matches), wrong units, numbers without a kind
// or source, unknown numbers without a reason, negative or non-finite values.
[[nodiscard]] Result<Chip> parse_chip(std::string_view text, std::string_view name);

}  // namespace ascertain::catalog
