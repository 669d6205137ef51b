// capture of docs/protocol.md: the operators of one training step.
#pragma once

#include <cstdint>

#include "base/json.hpp"
#include "base/result.hpp"
#include "model/architecture.hpp"
#include "worker/host/session.hpp"
#include "worker/operators/recorder.hpp"

namespace ascertain::operators {

struct CaptureOptions {
    std::int64_t sequences = 1;
    std::int64_t sequence_length = 0;
    c10::ScalarType dtype = c10::ScalarType::BFloat16;  // working precision
    std::uint64_t seed = 0;
    bool keep_time_shares = true;
    bool autocast = false;    // fp32 modules under torch's autocast, in place of our own casts
    bool generation = false;  // tokens are generated after the step, with a cache
};

struct Capture {
    Recording recording;
    double step_s = 0.0;  // the recorded training step, without the time spent on recording
};

// Builds the model on the session's device and records one step after a warm-up: forward and loss,
// backward, clip, AdamW. Throws what torch throws.
[[nodiscard]] Capture capture_step(worker::Session& session,
                                   const model::Architecture& architecture,
                                   const CaptureOptions& options);

Result<Json> capture(worker::Session& session, const Json& params);
Result<Json> support(worker::Session& session, const Json& params);

}  // namespace ascertain::operators
