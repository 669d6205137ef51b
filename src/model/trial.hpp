// A small model with the structure of a large one, for training runs that take seconds.
#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "model/architecture.hpp"

namespace ascertain::model {

// The sizes of the trial model; docs/formulas.md#trial-sizes says what they were tried with. Parts
// that the large model does not have are ignored.
struct TrialSize {
    std::int64_t layers = 3;
    std::int64_t hidden_size = 96;
    std::int64_t vocab_size = 32;
    std::int64_t heads = 4;
    std::int64_t kv_heads = 2;  // where the large model groups its heads
    std::int64_t head_dim = 24;
    std::int64_t q_lora_rank = 48;
    std::int64_t kv_lora_rank = 32;
    std::int64_t qk_nope_head_dim = 16;
    std::int64_t qk_rope_head_dim = 16;
    std::int64_t v_head_dim = 24;
    std::int64_t intermediate_size = 256;
    std::int64_t experts = 4;
    std::int64_t topk = 2;
    std::int64_t expert_intermediate_size = 64;
    std::int64_t sliding_window = 32;
    std::int64_t length_max = 256;  // rows of a learned position table

    bool operator==(const TrialSize&) const = default;
};

// `architecture` at trial size. Kept: family, attention kind, whether heads are grouped, query and
// key norms, biases, router kind and balancing, groups, shared experts (one), dense layers first,
// rope with its scaling, tied head, sandwich norms, MTP modules (at most one), dropout. Dropped:
// the declared quantisation. Errors: kBadInput with `where` = "name at trial size: field" when the
// sizes do not fit together.
[[nodiscard]] Result<Architecture> trial_scale(const Architecture& architecture,
                                               const TrialSize& size);

}  // namespace ascertain::model
