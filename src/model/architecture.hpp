// What a model is made of, as plain data. The one description from which the torch modules are
// built, the operators are listed, the memory is counted and the simulator is fed; so none of them
// can disagree about the model.
//
// Sizes are counts of elements. A value of 0 where the comment says "0: none" means the part is not
// there. validate() states what every other function of this room may take for granted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

namespace ascertain::model {

// The family decides the names and the layout of the weights on disk, nothing else: every
// difference in arithmetic is a field of its own.
enum class Family {
    kLlama,
    kQwen2,
    kQwen3,
    kQwen3Moe,
    kMixtral,
    kDeepseekV2,
    kDeepseekV3,
    kKimiK2,
    kGpt2,
    kPanguUltraMoe,
};

enum class Dtype { kFp32, kBf16, kFp16, kFp8 };

enum class LayerKind { kDense, kMoe };

// `count` layers of one kind in a row.
struct LayerRun {
    LayerKind kind = LayerKind::kDense;
    std::int64_t count = 0;

    bool operator==(const LayerRun&) const = default;
};

enum class AttentionKind {
    kGqa,  // grouped-query attention; kv_heads == heads is plain multi-head attention
    kMla,  // multi-head latent attention, arXiv 2405.04434 section 2.1
};

struct Attention {
    AttentionKind kind = AttentionKind::kGqa;
    std::int64_t heads = 0;
    std::int64_t kv_heads = 0;          // divides heads; equals heads for MLA
    std::int64_t head_dim = 0;          // GQA; for MLA qk_nope_head_dim + qk_rope_head_dim
    std::int64_t q_lora_rank = 0;       // MLA; 0: queries are projected directly
    std::int64_t kv_lora_rank = 0;      // MLA
    std::int64_t qk_nope_head_dim = 0;  // MLA
    std::int64_t qk_rope_head_dim = 0;  // MLA; one key of this size is shared by all heads
    std::int64_t v_head_dim = 0;        // equals head_dim for GQA
    bool qk_norm = false;               // RMS norm over head_dim of each query and key head
    bool qkv_bias = false;              // MLA: bias of the two down-projections
    bool output_bias = false;
    std::int64_t sliding_window =
        0;                 // tokens a query sees, itself included, in every layer; 0: all
    double dropout = 0.0;  // probability

    bool operator==(const Attention&) const = default;
};

enum class MlpKind {
    kSwiglu,    // down(silu(gate(x)) * up(x))
    kGelu,      // down(gelu(up(x))), exact
    kGeluTanh,  // the same with the tanh approximation ("gelu_new")
};

// Dense layers. An all-MoE model may carry an intermediate size that no layer uses.
struct Mlp {
    MlpKind kind = MlpKind::kSwiglu;
    std::int64_t intermediate_size = 0;
    bool bias = false;

    bool operator==(const Mlp&) const = default;
};

enum class RouterKind {
    kSoftmax,  // probabilities over all experts, then the best topk
    kSigmoid,  // each expert scored by itself
};

// Experts use the MLP's kind, without bias. experts == 0: the model has no MoE layer.
struct Moe {
    std::int64_t experts = 0;  // routed experts the router chooses from
    std::int64_t local_experts =
        0;                  // how many of them are built here; fewer on a rank of an EP group
    std::int64_t topk = 0;  // routed experts per token
    std::int64_t expert_intermediate_size = 0;
    std::int64_t shared_experts = 0;            // run by every token
    std::int64_t shared_intermediate_size = 0;  // of all shared experts together: they are one MLP
    RouterKind router = RouterKind::kSoftmax;
    bool normalise_topk = false;   // the chosen weights are divided by their sum
    double scaling_factor = 1.0;   // then multiplied by this
    std::int64_t groups = 1;       // experts form this many groups of equal size ...
    std::int64_t topk_groups = 1;  // ... and a token chooses among the experts of so many of them
    // A bias per expert, moved against the load, is added to the scores for the choice alone
    // (arXiv 2408.15664). A group's score is then the sum of its two best biased scores, otherwise
    // its best score.
    bool bias_balancing = false;
    double auxiliary_loss_coefficient = 0.0;

    bool operator==(const Moe&) const = default;
};

enum class NormKind { kRms, kLayer };

struct Norm {
    NormKind kind = NormKind::kRms;
    double epsilon = 1e-6;
    bool sandwich =
        false;  // a further norm after attention and after the MLP, before each addition

    bool operator==(const Norm&) const = default;
};

enum class PositionKind { kRope, kLearned };
enum class RopeScalingKind { kNone, kLinear, kYarn, kLlama3 };

// Fields that a kind does not use keep their defaults.
struct RopeScaling {
    RopeScalingKind kind = RopeScalingKind::kNone;
    double factor = 1.0;
    std::int64_t original_length_max = 0;  // yarn, llama3: length the frequencies were trained for
    double beta_fast = 32.0;               // yarn
    double beta_slow = 1.0;                // yarn
    double mscale = 0.0;                   // yarn; 0: not given
    double mscale_all_dim = 0.0;           // yarn; not 0: also scales the softmax (DeepSeek)
    double attention_factor = 0.0;         // yarn; 0: derived from factor
    double low_frequency_factor = 1.0;     // llama3
    double high_frequency_factor = 4.0;    // llama3

    bool operator==(const RopeScaling&) const = default;
};

struct Position {
    PositionKind kind = PositionKind::kRope;
    std::int64_t length_max = 0;  // longest sequence; the rows of the table when learned
    double theta = 10000.0;       // rope
    bool interleaved = false;     // rope turns pairs (2i, 2i+1), not (i, i + d/2)
    RopeScaling scaling;

    bool operator==(const Position&) const = default;
};

// How the published weights are stored, as the config declares it. Training need not follow it.
struct Quantisation {
    std::string method;           // "fp8", "awq" ...; empty: none
    std::int64_t block_rows = 0;  // size of a block with one scale; 0: not blockwise
    std::int64_t block_columns = 0;

    bool operator==(const Quantisation&) const = default;
};

struct Architecture {
    std::string name;  // what messages call it
    Family family = Family::kLlama;
    std::int64_t vocab_size = 0;
    std::int64_t hidden_size = 0;
    std::vector<LayerRun> layers;  // first to last; neighbours differ in kind
    Attention attention;
    Mlp mlp;
    Moe moe;
    Norm norm;
    Position position;
    bool tied_embeddings = false;    // the head reuses the embedding's matrix
    std::int64_t mtp_layers = 0;     // multi-token-prediction modules, arXiv 2412.19437 section 2.2
    double hidden_dropout = 0.0;     // probability, after attention and after the MLP
    double embedding_dropout = 0.0;  // probability
    double initializer_range = 0.02;  // standard deviation of new weights
    Dtype dtype = Dtype::kBf16;       // of the published weights
    Quantisation quantisation;

    bool operator==(const Architecture&) const = default;
};

[[nodiscard]] std::int64_t layer_count(const Architecture& architecture);
[[nodiscard]] std::int64_t layer_count(const Architecture& architecture, LayerKind kind);
// The kind of layer `index`, counted from 0; index < layer_count.
[[nodiscard]] LayerKind layer_kind(const Architecture& architecture, std::int64_t index);
// The kind inside a multi-token-prediction module: that of the last layer.
[[nodiscard]] LayerKind mtp_layer_kind(const Architecture& architecture);

// Whether the fields are in range and fit together: heads divide, choices are possible, nothing
// overflows. Errors: kBadInput with `where` = "name: field", the field as in this file.
[[nodiscard]] Result<void> validate(const Architecture& architecture);

// The same model with its vocabulary rounded up to a multiple, as trainers do so that it divides by
// TP. multiple >= 1.
[[nodiscard]] Architecture pad_vocabulary(const Architecture& architecture, std::int64_t multiple);

// The document of data/schema/architecture.schema.json and back. The reader refuses unknown and
// missing fields and whatever validate() refuses; where = "name: field".
[[nodiscard]] Json to_json(const Architecture& architecture);
[[nodiscard]] Result<Architecture> architecture_from_json(const Json& document,
                                                          std::string_view name);

[[nodiscard]] std::string_view name_of(Family family);
[[nodiscard]] std::string_view name_of(Dtype dtype);
[[nodiscard]] std::string_view name_of(LayerKind kind);
[[nodiscard]] std::string_view name_of(AttentionKind kind);
[[nodiscard]] std::string_view name_of(MlpKind kind);
[[nodiscard]] std::string_view name_of(RouterKind kind);
[[nodiscard]] std::string_view name_of(NormKind kind);
[[nodiscard]] std::string_view name_of(PositionKind kind);
[[nodiscard]] std::string_view name_of(RopeScalingKind kind);

// Bytes of one element.
[[nodiscard]] double size_bytes(Dtype dtype);

}  // namespace ascertain::model
