#include "model/activations.hpp"

#include "model/rank_view.hpp"

namespace ascertain::model {
namespace {

double real(std::int64_t value) {
    return static_cast<double>(value);
}

constexpr double kFp32Bytes = 4.0;
constexpr double kMaskBytes = 1.0;
constexpr double kRouteBytes =
    8.0;  // weight in fp32 and place as a 32-bit index, per chosen expert

class SavedList {
public:
    SavedList(const RankView& view, const Batch& batch, const ActivationOptions& options)
        : view_(view),
          a_(view.model),
          batch_(batch),
          options_(options),
          bytes_(size_bytes(batch.dtype)),
          operand_bytes_(size_bytes(batch.linear_dtype == Dtype::kFp8 ? Dtype::kFp8 : batch.dtype)),
          hidden_(real(view.model.hidden_size)),
          tokens_(real(view.tokens)),
          stream_(real(view.stream)) {}

    void embedding() {
        if (a_.embedding_dropout > 0.0) add_mask("embedding.mask", stream_);
    }

    void layer(LayerKind kind) {
        add("layer.input", "attention_norm", stream_ * hidden_);
        if (options_.recompute == Recompute::kFull) return;
        add_operand("attention.input", "q_proj, k_proj, v_proj", stream_ * hidden_);
        a_.attention.kind == AttentionKind::kGqa ? gqa() : mla();
        core_attention();
        add_operand("attention.context", "o_proj",
                    tokens_ * real(a_.attention.heads) * real(a_.attention.v_head_dim));
        if (a_.norm.sandwich) add("attention.output", "attention_post_norm", stream_ * hidden_);
        if (a_.hidden_dropout > 0.0) add_mask("attention.mask", stream_);
        add("mlp.residual", "mlp_norm", stream_ * hidden_);
        if (kind == LayerKind::kMoe) {
            add("mlp.input", "router, dispatch, shared_gate_proj", stream_ * hidden_);
            moe();
        } else {
            add_operand("mlp.input", "gate_proj, up_proj", stream_ * hidden_);
            mlp({"mlp.gate", "mlp.up", "mlp.product", "activation", "down_proj"}, tokens_,
                a_.mlp.intermediate_size);
        }
        if (a_.norm.sandwich) add("mlp.output", "mlp_post_norm", stream_ * hidden_);
        if (a_.hidden_dropout > 0.0) add_mask("mlp.mask", stream_);
    }

    void head() {
        add("head.residual", "final_norm", stream_ * hidden_);
        add("head.input", "output", stream_ * hidden_);
        add_sized("head.probabilities", "cross_entropy",
                  tokens_ * real(a_.vocab_size) * kFp32Bytes);
    }

    void mtp() {
        embedding();
        add("mtp.embedding", "embedding_norm", stream_ * hidden_);
        add("mtp.hidden", "hidden_norm", stream_ * hidden_);
        add("mtp.joined", "projection", stream_ * 2.0 * hidden_);
        layer(mtp_layer_kind(a_));
        head();
    }

    [[nodiscard]] std::vector<SavedTensor> take() { return std::move(out_); }

private:
    void add_sized(std::string_view name, std::string_view saved_by, double size) {
        out_.push_back({name, saved_by, Bytes{size}});
    }
    void add(std::string_view name, std::string_view saved_by, double elements) {
        add_sized(name, saved_by, elements * bytes_);
    }
    // The input of a linear layer. In fp8 only its quantised form is kept (TransformerEngine).
    void add_operand(std::string_view name, std::string_view saved_by, double elements) {
        add_sized(name, saved_by, elements * operand_bytes_);
    }
    void add_mask(std::string_view name, double rows) {
        add_sized(name, "dropout", rows * hidden_ * kMaskBytes);
    }

    void gqa() {
        const Attention& t = a_.attention;
        const double q = tokens_ * real(t.heads) * real(t.head_dim);
        const double kv = tokens_ * real(t.kv_heads) * real(t.head_dim);
        if (t.qk_norm) {
            add("attention.q_raw", "q_norm", q);
            add("attention.k_raw", "k_norm", kv);
        }
        add("attention.q", "attention", q);
        add("attention.k", "attention", kv);
        add("attention.v", "attention", kv);
    }

    void mla() {
        const Attention& t = a_.attention;
        if (t.q_lora_rank > 0) {
            add("attention.q_latent", "q_a_norm", stream_ * real(t.q_lora_rank));
            add_operand("attention.q_latent_normed", "q_b_proj", stream_ * real(t.q_lora_rank));
        }
        add("attention.kv_latent", "kv_a_norm", stream_ * real(t.kv_lora_rank));
        add_operand("attention.kv_latent_normed", "kv_b_proj", stream_ * real(t.kv_lora_rank));
        const double heads = tokens_ * real(t.heads);
        add("attention.q", "attention", heads * real(t.head_dim));
        add("attention.k", "attention", heads * real(t.head_dim));
        add("attention.v", "attention", heads * real(t.v_head_dim));
    }

    // Flash attention keeps one number per query; otherwise the matrix of probabilities, and with
    // dropout its mask and the dropped matrix as well.
    void core_attention() {
        const Attention& t = a_.attention;
        const double queries = tokens_ * real(t.heads);
        if (options_.flash_attention) {
            add_sized("attention.log_sum", "attention", queries * kFp32Bytes);
            return;
        }
        if (options_.recompute == Recompute::kSelective) return;
        const double pairs = queries * real(batch_.sequence_length);
        add("attention.probabilities", "softmax, values product", pairs);
        if (t.dropout > 0.0) {
            add_sized("attention.probability_mask", "dropout", pairs * kMaskBytes);
            add("attention.dropped_probabilities", "values product", pairs);
        }
    }

    struct MlpNames {
        std::string_view gate, up, product, activation, down;
    };
    void mlp(const MlpNames& names, double rows, std::int64_t size) {
        const double elements = rows * real(size);
        if (a_.mlp.kind == MlpKind::kSwiglu) add(names.gate, names.activation, elements);
        add(names.up, names.activation, elements);
        add_operand(names.product, names.down, elements);
    }

    void moe() {
        const Moe& m = a_.moe;
        const double received = real(view_.expert_rows);
        add_sized("moe.scores", "choose", stream_ * real(m.experts) * kFp32Bytes);
        add_sized("moe.routes", "dispatch, combine", real(view_.dispatched) * kRouteBytes);
        add_operand("moe.experts.input", "experts_gate_proj, experts_up_proj", received * hidden_);
        mlp({"moe.experts.gate", "moe.experts.up", "moe.experts.product", "experts_activation",
             "experts_down_proj"},
            received, m.expert_intermediate_size);
        add("moe.experts.output", "combine", real(view_.dispatched) * hidden_);
        if (m.shared_experts > 0) {
            mlp({"moe.shared.gate", "moe.shared.up", "moe.shared.product", "shared_activation",
                 "shared_down_proj"},
                tokens_, m.shared_intermediate_size);
        }
    }

    const RankView& view_;
    const Architecture& a_;
    const Batch& batch_;
    const ActivationOptions& options_;
    double bytes_;
    double operand_bytes_;  // of a linear layer's input
    double hidden_;
    double tokens_;
    double stream_;
    std::vector<SavedTensor> out_;
};

}  // namespace

Result<std::vector<SavedTensor>> saved_activations(const Architecture& architecture, Block block,
                                                   const Shard& shard, const Batch& batch,
                                                   const ActivationOptions& options) {
    const auto view = view_of_rank(architecture, shard, batch);
    if (!view) return view.error();
    SavedList saved(*view, batch, options);
    if (block_count(architecture, block) > 0) {
        switch (block) {
            case Block::kEmbedding: saved.embedding(); break;
            case Block::kDenseLayer: saved.layer(LayerKind::kDense); break;
            case Block::kMoeLayer: saved.layer(LayerKind::kMoe); break;
            case Block::kHead: saved.head(); break;
            case Block::kMtp: saved.mtp(); break;
        }
    }
    return saved.take();
}

Bytes total_size(const std::vector<SavedTensor>& tensors) {
    Bytes total;
    for (const SavedTensor& tensor : tensors) total += tensor.size;
    return total;
}

}  // namespace ascertain::model
