// Operators to seconds.
#pragma once

#include <vector>

#include "base/result.hpp"
#include "model/operators.hpp"
#include "predict/cost/machine.hpp"

namespace ascertain::cost {

// What of an operator its time depends on; no constant of any chip in it.
struct OperatorWork {
    enum class Class : std::uint8_t {
        kMatrix,
        kGrouped,
        kAttention,  // core attention, fused or not
        kStream,     // bound by memory traffic
        kLoss,       // softmax and cross entropy over the vocabulary
        kPermute,
        kRandom,  // table look-ups
        kUpdate,  // clip and optimizer: counted per parameter by the step
    };
    Class family = Class::kStream;
    model::Phase phase = model::Phase::kForward;
    bool weight_gradient = false;
    bool low_precision = false;  // operands in the job's linear format
    bool fp32 = false;
    double count = 1.0;
    double flops = 0.0;       // matrices; attention: under the causal mask
    double flops_full = 0.0;  // attention without a mask: what an unfused one computes
    double scores = 0.0;      // attention: elements of the score matrix
    double bytes = 0.0;
    double depth = 1.0;          // inner dimension
    double tiles = 0.0;          // output tiles of 128 x 256
    double accumulated = 0.0;    // elements of a weight gradient added to its fp32 sum
    double cast_elements = 0.0;  // elements turned into the low-precision format
};

// The operators of one block as work, projections that share their input merged into one product
// (q, k, v; gate, up), as trainers do.
[[nodiscard]] std::vector<OperatorWork> work_of(const std::vector<model::Operator>& operators,
                                                model::Block block);

// Seconds of one call. `fused_attention`: flash. Never negative. Formulas:
// docs/formulas.md#operator-time.
[[nodiscard]] double seconds_of(const OperatorWork& work, const Machine& machine,
                                const TrainingJob& job, bool fused_attention);

struct Interval {
    double low = 0.0;  // 10th percentile
    double mid = 0.0;
    double high = 0.0;  // 90th percentile
};

// One operator on one device, for the prediction that precedes a measurement. The interval covers
// the spread of the constants and catalog figures that this operator leans on. Errors: those of
// resolve_machine.
[[nodiscard]] Result<Interval> operator_seconds(const catalog::Fleet& fleet, const TrainingJob& job,
                                                const CostBook& book, const model::Operator& op);

}  // namespace ascertain::cost
