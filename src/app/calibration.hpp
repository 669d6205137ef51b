// What a run's evidence says about a device, and the chip file it makes: what was measured replaces
// the base file's figures and is marked so; all else keeps its own kind and source.
#pragma once

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
    std::string record;  // "r000012"
};

struct DeviceMeasurements {
    std::string device;
    std::optional<MeasuredRange> matmul_flops_per_s;    // of the model's matrix products
    std::optional<MeasuredRange> streamed_bytes_per_s;  // of its case bound by memory alone
    goodput::SoakEvidence soak;                         // zeros: nothing was soaked
    std::vector<std::string> outside;  // foretold and measured outside its interval: findings
};

// The devices that have a completed speed.calibration or a soak, in the order of the evidence.
// Controls do not count. kEvidence for a record that does not read.
[[nodiscard]] Result<std::vector<DeviceMeasurements>> measurements_in(
    const std::vector<evidence::Record>& records);

// A chip file with what was measured put in. `base_text` is a chip file read from `base_name`;
// `prior` the belief about failures that a soak updates. The result has passed parse_chip.
// kUnsupported when nothing that belongs into a chip file was measured.
[[nodiscard]] Result<std::string> calibrated_chip(std::string_view base_text,
                                                  const std::string& base_name,
                                                  const DeviceMeasurements& measured,
                                                  const goodput::GammaRate& prior,
                                                  const std::string& evidence_directory);

}  // namespace ascertain::app
