// What a run's evidence says about a device, and the chip and network files it makes: what was
// measured replaces the base file's figures and is marked so; all else keeps its own kind and
// source.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "decide/evidence/chain.hpp"
#include "predict/goodput/soak.hpp"

namespace ascertain::app {

// A measured number: the middle of the timed cases, and the worst and the best of them.
struct MeasuredRange {
    double low = 0.0;
    double mid = 0.0;
    double high = 0.0;
    std::int64_t cases = 0;
    std::string record;  // evidence directory, device and record: "run on npu:0, r000012"
};

// What a group of ranks carried: latency and bus bandwidth (nccl-tests) of its collectives.
struct LinkMeasurement {
    std::int64_t ranks = 0;
    bool across_nodes = false;      // the ranks were on several nodes
    std::string backend;            // "nccl", "gloo" ...
    MeasuredRange bus_bytes_per_s;  // the middle kind of collective, and the worst and the best
    MeasuredRange latency_s;
    std::vector<std::string> kinds;  // each kind in words: "all_reduce 12 GB/s, 5 us"
};

struct DeviceMeasurements {
    std::string device;
    std::optional<MeasuredRange> matmul_flops_per_s;    // of the model's matrix products
    std::optional<MeasuredRange> streamed_bytes_per_s;  // of its case bound by memory alone
    std::vector<LinkMeasurement> links;                 // within a node, and across nodes
    // A checkpoint of the trial, written and read by this device's worker alone.
    std::optional<MeasuredRange> checkpoint_write_bytes_per_s;
    std::optional<MeasuredRange> checkpoint_read_bytes_per_s;
    goodput::SoakEvidence soak;  // of all devices that were soaked with it; zeros: nothing was
    std::string soak_record;
    std::vector<std::string> outside;  // foretold and measured outside its interval: findings

    [[nodiscard]] bool anything() const;
    [[nodiscard]] const LinkMeasurement* link(bool across_nodes) const;
};

// The devices that were timed, soaked, or asked about links or checkpoints, in the order of the
// evidence, added to those of evidence read earlier. What several devices did together counts for
// each of them. Controls do not count; a soak that broke is a failure. kEvidence for a record that
// does not read.
[[nodiscard]] Result<std::vector<DeviceMeasurements>> measurements_in(
    const std::vector<evidence::Record>& records, const std::string& directory,
    std::vector<DeviceMeasurements> earlier = {});

// The shares of a printed rate that the simulator lets kernels and collectives reach (fitted
// constants). A measured rate is what was reached, so the file's rate is the measured one over the
// share, and its note says so: then the simulator comes out at what was measured.
struct ReachedShares {
    double memory = 1.0;
    double scale_up = 1.0;
    double scale_out = 1.0;
};

// A chip file with what was measured put in. `base_text` is a chip file read from `base_name`;
// `prior` the belief about failures that a soak updates. The result has passed parse_chip.
// kUnsupported when nothing that belongs into a chip file was measured.
[[nodiscard]] Result<std::string> calibrated_chip(std::string_view base_text,
                                                  const std::string& base_name,
                                                  const DeviceMeasurements& measured,
                                                  const goodput::GammaRate& prior,
                                                  const ReachedShares& shares);

// A network file with the rate and latency of the links put in: of ranks within a node for a
// scale-up network, across nodes for a scale-out one. kUnsupported when those were not measured.
[[nodiscard]] Result<std::string> calibrated_network(std::string_view base_text,
                                                     const std::string& base_name,
                                                     const DeviceMeasurements& measured,
                                                     const ReachedShares& shares);

}  // namespace ascertain::app
