// The few constants that turn shapes into seconds: what each means, what one believes before any
// measurement, and what was fitted. Everything that is fitted is in this table and nowhere else.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "predict/catalog/figure.hpp"

namespace ascertain::cost {

enum class Constant : std::size_t {
    kGemmShare,     // of the best product on record for the chip that large bf16 or fp16 ones reach
    kGemmFp8Share,  // the same in fp8
    kGemmFp4Share,  // the same in fp4
    kFlashShare,    // of the peak, fused attention forward, causal FLOPs
    kFlashBackward,    // speed of its backward relative to the forward
    kBmmShare,         // of the peak, the two products of unfused attention
    kScoreTraffic,     // bytes of unfused softmax over the 13 bytes per score of Megatron's kernels
    kDepthHalf,        // inner dimension at which a matrix product reaches half of its share
    kWaveWeight,       // how much of the last, partly filled wave of tiles is really lost
    kWeightPenalty,    // weight-gradient products over the others
    kAccumulate,       // share of reading and writing gradient sums that products which add to them
                       // do not hide
    kGroupedShare,     // grouped product over a plain one
    kMemoryShare,      // of the memory bandwidth, streaming kernels
    kTraffic,          // bytes moved by normalisations, activations ... over the least possible
    kCompiledTraffic,  // what a graph compiler leaves of it
    kLossTraffic,      // bytes moved by softmax and cross entropy over the least possible
    kPermuteTraffic,   // bytes moved by token permutation over the least possible
    kCastTraffic,      // bytes moved to make fp8 operands over the least possible
    kOptimizerTraffic,  // bytes of clip and optimizer over 30 per parameter
    kKernelGap,         // seconds between two kernels
    kHostFloor,         // seconds the host needs to launch one layer forward
    kExpertHostFloor,   // the same of a layer of experts that waits for its tokens' counts
    kStepOverhead,      // seconds per step beside everything else: data, logging, barriers
    kLinkShare,         // of the scale-up rate
    kLinkLatency,       // seconds per hop inside a scale-up domain
    kNicShare,          // of the scale-out rate
    kNicLatency,        // seconds per hop between domains
    kTpContention,      // share of tensor-parallel traffic that still costs when overlapped
    kDpContention,      // the same for gradients and parameters of ZeRO-1 and plain DP
    kFsdpContention,    // for the gathers of ZeRO-3
    kCpContention,      // for context parallelism
    kEpContention,      // for expert all-to-all
    kPpExposed,         // share of a stage boundary's transfer that also occupies the rank
    kStraggler,         // relative slow-down per doubling of the nodes
    kYoungMatrix,     // relative slow-down of products on software one year younger than the chip,
                      // halving yearly
    kYoungFp8,        // more of it for products in fp8
    kYoungAttention,  // the same for fused attention
    kLevel,           // whole-step factor: what nothing else explains
    kCount,
};
inline constexpr std::size_t kConstantCount = static_cast<std::size_t>(Constant::kCount);

// All constants as plain numbers, ready to compute with.
struct Constants {
    std::array<double, kConstantCount> value{};

    [[nodiscard]] double operator[](Constant which) const {
        return value[static_cast<std::size_t>(which)];
    }
    [[nodiscard]] double& operator[](Constant which) {
        return value[static_cast<std::size_t>(which)];
    }
};

// What is believed of a constant before the fit, in logarithms: a global value, and how far dies,
// frameworks and fabrics may differ from it. 0: they do not. Our judgement, from the literature and
// from what each term can physically be.
struct ConstantRow {
    Constant which;
    std::string_view name;
    std::string_view unit;
    double prior;
    double prior_spread;      // log standard deviation of the global value
    double die_spread;        // of a die's deviation from it
    double framework_spread;  // of a framework's
    double fabric_spread;     // of a scale-out fabric's
    double release_spread;    // of one year's releases of a framework, from the framework
};
[[nodiscard]] const std::array<ConstantRow, kConstantCount>& constant_table();
[[nodiscard]] std::string_view name_of(Constant which);

// A deviation that was fitted: factor on the global value, with its log standard deviation.
struct Effect {
    double factor = 1.0;
    double spread = 0.0;
};
using EffectMap = std::map<Constant, Effect>;

struct Group {
    std::string name;
    std::vector<std::string> members;  // chip ids or aliases; empty for frameworks and fabrics
    std::int64_t launched = 0;         // dies: year of the first chip; 0: unknown
    std::int64_t cores = 0;            // dies: units that take one tile each; 0: unknown
    std::int64_t rows = 0;             // measured steps behind the effects
    EffectMap effects;
};

// How far a prediction may be off, by what was known of its kind: half-width of the 80 % interval
// as a factor on the logarithm, found by leaving out what is asked for.
struct IntervalWidths {
    double known = 0.07;              // die and framework both fitted
    double framework_unknown = 0.16;  // die fitted
    double die_unknown = 0.30;
    double experts = 0.35;  // mixture-of-experts, on top of the others
};

// A framework's constants are those of one of its engines: the one that keeps weights whole, or the
// one that gathers them layer by layer ("deepspeed/sharded").
[[nodiscard]] std::string engine_name(std::string_view framework, bool sharded_weights);
// "nemo-2025"; empty when either is unknown.
[[nodiscard]] std::string release_name(std::string_view framework, std::int64_t year);

// Everything fitted, as data/cost/constants.toml holds it.
class CostBook {
public:
    // kBadInput with file:line:column.
    [[nodiscard]] static Result<CostBook> parse(std::string_view text, std::string_view name);
    // Only what is believed before any fit.
    [[nodiscard]] static CostBook prior();
    [[nodiscard]] std::string to_toml() const;

    struct Resolved {
        Constants constants;
        std::array<double, kConstantCount> spread{};  // log standard deviation of each
        bool die_known = false;
        bool framework_known = false;
        std::int64_t cores = 0;
        std::int64_t launched = 0;
        std::string die;
    };
    // The constants for a chip (with its aliases), a framework and a fabric; empty names mean
    // unknown, and unknown means the global value with the spread of its kind.
    [[nodiscard]] Resolved resolve(const std::vector<std::string>& chip_names,
                                   std::string_view framework, std::int64_t year,
                                   std::string_view fabric) const;

    std::array<Effect, kConstantCount> global{};  // factor holds the value itself
    std::vector<Group> dies;
    std::vector<Group> frameworks;
    std::vector<Group> fabrics;
    std::vector<Group> releases;  // named by release_name()
    IntervalWidths widths;
    std::int64_t rows = 0;                // measured steps behind the fit
    std::string fitted_on;                // which rows, for people
    std::vector<std::string> fitted_ids;  // ids of those rows, sorted
};

}  // namespace ascertain::cost
