// What is asked of the serving side: a model, on which chips, how it is split, what its users send.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/architecture.hpp"
#include "predict/catalog/catalog.hpp"
#include "predict/cost/job.hpp"

namespace ascertain::serving {

// Of the weights of linear layers and of the operands they are multiplied with. Embedding, head,
// norms and router stay in 16 bits.
enum class Precision { kBf16, kFp8, kInt8, kFp4 };

[[nodiscard]] std::string_view name_of(Precision precision);
[[nodiscard]] std::optional<Precision> precision_from(std::string_view name);
// Bytes of one weight, block scales included.
[[nodiscard]] double weight_bytes(Precision precision);
// The narrowest precision that the published weights have and the chip multiplies in; else the
// chip's 8-bit integers for 8-bit weights; else bf16.
[[nodiscard]] Precision natural_precision(const model::Architecture& architecture,
                                          const catalog::Chip& chip);

// One replica: tp * dp * pp chips, in `pp` stages of layers, one after another. Each of `dp` groups
// of `tp` chips a stage attends to sequences of its own; routed experts lie spread over all chips
// of their stage, redundant ones fill up what does not divide.
struct Layout {
    std::int64_t tp = 1;
    std::int64_t dp = 1;
    std::int64_t pp = 1;

    [[nodiscard]] std::int64_t stage_chips() const { return tp * dp; }
    [[nodiscard]] std::int64_t group_chips() const { return tp * pp; }
    [[nodiscard]] std::int64_t chips() const { return tp * dp * pp; }
    bool operator==(const Layout&) const = default;
};
[[nodiscard]] std::string describe(const Layout& layout);

// How the engine works.
struct Engine {
    Precision precision = Precision::kBf16;
    double cache_bytes = 2.0;            // per element of the key-value cache: 2, or 1 in 8 bits
    std::int64_t batch_max = 2048;       // sequences that one group may hold at once
    std::int64_t prefill_tokens = 8192;  // that one group computes per pass
    bool overlap = true;                 // experts' exchange beside compute (two half batches)
    std::int64_t draft_tokens = 0;       // proposed per step by the model's own MTP module
    double acceptance = 0.0;             // of each proposed token, in [0, 1]
};

// What a request looks like, on average.
struct Workload {
    double prompt_tokens = 0.0;
    double output_tokens = 0.0;
    double cached_ratio = 0.0;  // of the prompt, whose keys and values are there already
};

// A latency that must be met; empty: none asked.
struct Limits {
    std::optional<double> time_per_output_token_s;
    std::optional<double> time_to_first_token_s;
};

// kBadInput, where = the field: counts below 1, tokens that are not positive and finite, ratios
// outside [0, 1), drafts without an MTP module, a tp that does not divide the heads, more stages
// than layers, more than one group for a model without experts.
[[nodiscard]] Result<void> check(const model::Architecture& architecture, const Layout& layout,
                                 const Engine& engine);
[[nodiscard]] Result<void> check(const Workload& workload);

// The fleet and job that predict/cost prices: `layout.chips()` chips of the kind of `fleet`. 8-bit
// integers take the place of fp8. kUnknownValue names a peak that the catalog lacks.
struct Priced {
    catalog::Fleet fleet;
    cost::TrainingJob job;
};
[[nodiscard]] Result<Priced> priced(const catalog::Fleet& fleet, const Layout& layout,
                                    const Engine& engine);

}  // namespace ascertain::serving
