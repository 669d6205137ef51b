#include "model/block_writer.hpp"

#include <algorithm>
#include <iterator>

namespace ascertain::model {
namespace {

double real(std::int64_t value) {
    return static_cast<double>(value);
}

constexpr double kFp32Bytes = 4.0;
constexpr double kIndexBytes = 8.0;

void set_work(Operator& op, double flops, double read, double written) {
    op.flops = flops;
    op.flops_causal = flops;
    op.bytes_read = read;
    op.bytes_written = written;
}

}  // namespace

void BlockWriter::append_to(std::vector<Operator>& out) {
    std::ranges::move(forward_, std::back_inserter(out));
    std::move(backward_.rbegin(), backward_.rend(), std::back_inserter(out));
    std::ranges::move(update_, std::back_inserter(out));
}

Operator BlockWriter::make(std::string_view name, OperatorKind kind, Phase phase) const {
    Operator op;
    op.name = name;
    op.module = module_;
    op.block = block_;
    op.phase = phase;
    op.kind = kind;
    op.dtype = batch_.dtype;
    return op;
}

// A memory-bound operator and its backward.
void BlockWriter::pointwise(std::string_view name, OperatorKind kind, double elements,
                            Traffic forward, Traffic backward) {
    const auto add = [&](std::vector<Operator>& to, Phase phase, Traffic traffic) {
        Operator op = make(name, kind, phase);
        op.elements = elements;
        set_work(op, traffic.flops * elements, traffic.read * elements * bytes_,
                 traffic.written * elements * bytes_);
        to.push_back(op);
    };
    add(forward_, Phase::kForward, forward);
    add(backward_, Phase::kBackward, backward);
}

// Of [rows, size]. RMS: square, mean, scale, weight; layer norm also centres and shifts.
void BlockWriter::norm(std::string_view name, std::int64_t rows, std::int64_t size) {
    const double work = a_.norm.kind == NormKind::kRms ? 4.0 : 7.0;
    pointwise(name, OperatorKind::kNorm, real(rows) * real(size), {1, 1, work}, {2, 1, 2 * work});
}

// x + y forward; backward adds the gradients of the two branches. Dropout reads or writes a mask of
// one byte and multiplies.
void BlockWriter::residual(std::string_view name) {
    const double elements = real(view_.stream) * real(a_.hidden_size);
    const double mask = a_.hidden_dropout > 0.0 ? 1.0 / bytes_ : 0.0;
    const double work = a_.hidden_dropout > 0.0 ? 3.0 : 1.0;
    pointwise(name, OperatorKind::kElementwise, elements, {2, 1 + mask, work}, {2 + mask, 1, work});
}

void BlockWriter::gemm(std::string_view name, OperatorKind kind, Gradient gradient, GemmShape shape,
                       double weight_elements, Dtype dtype) {
    const bool backward = gradient != Gradient::kNone;
    Operator op = make(name, kind, backward ? Phase::kBackward : Phase::kForward);
    op.gradient = gradient;
    op.dtype = dtype;
    op.gemm = shape;
    const double operand = size_bytes(dtype);
    const double result = dtype == Dtype::kFp8 ? bytes_ : operand;
    const double m = real(shape.m);
    const double n = real(shape.n);
    const double k = real(shape.k);
    double read = (m * k + weight_elements) * operand;
    double written = m * n * result;
    if (gradient == Gradient::kWeight) {
        read = (m * k + k * n) * operand;
        written = weight_elements * result;
    }
    op.elements = std::max({m * k, weight_elements, m * n});
    set_work(op, 2.0 * m * n * k, read + (shape.bias ? n * operand : 0.0), written);
    (backward ? backward_ : forward_).push_back(op);
}

// y = x W^T with x [rows, in] and W [out, in]; backward dx = dy W and dW = dy^T x. GPT-2 stores the
// matrices of its layers as [in, out], and their gradient is made as it is stored: x^T dy.
void BlockWriter::linear(std::string_view name, std::int64_t rows, std::int64_t in,
                         std::int64_t out, bool bias) {
    const double weight = real(in) * real(out);
    const Dtype dtype = batch_.linear_dtype == Dtype::kFp8 ? Dtype::kFp8 : batch_.dtype;
    const auto kind = OperatorKind::kGemm;
    gemm(name, kind, Gradient::kNone, {rows, out, in, 1, bias}, weight, dtype);
    if (bias) {
        Operator sum = make(name, OperatorKind::kReduction, Phase::kBackward);
        sum.elements = real(rows) * real(out);
        set_work(sum, sum.elements, sum.elements * bytes_, real(out) * bytes_);
        backward_.push_back(sum);
    }
    const bool input_major = a_.family == Family::kGpt2 && module_ != "head";
    gemm(name, kind, Gradient::kWeight,
         input_major ? GemmShape{in, out, rows, 1, false} : GemmShape{out, in, rows, 1, false},
         weight, dtype);
    gemm(name, kind, Gradient::kInput, {rows, in, out, 1, false}, weight, dtype);
}

void BlockWriter::grouped(std::string_view name, std::int64_t in, std::int64_t out) {
    const std::int64_t rows = view_.expert_rows;
    const std::int64_t experts = a_.moe.local_experts;
    const double weight = real(in) * real(out) * real(experts);
    const Dtype dtype = batch_.linear_dtype == Dtype::kFp8 ? Dtype::kFp8 : batch_.dtype;
    const auto kind = OperatorKind::kGroupedGemm;
    gemm(name, kind, Gradient::kNone, {rows, out, in, experts, false}, weight, dtype);
    gemm(name, kind, Gradient::kWeight, {out, in, rows, experts, false}, weight, dtype);
    gemm(name, kind, Gradient::kInput, {rows, in, out, experts, false}, weight, dtype);
}

void BlockWriter::embedding() {
    module_ = "embedding";
    const double elements = real(view_.tokens) * real(a_.hidden_size);
    Operator lookup = make("token", OperatorKind::kEmbedding, Phase::kForward);
    lookup.elements = elements;
    set_work(lookup, 0.0, elements * bytes_ + real(view_.tokens) * kIndexBytes, elements * bytes_);
    forward_.push_back(lookup);
    // The gradient of the whole table is written: rows without a token are zero.
    Operator scatter = make("token", OperatorKind::kEmbedding, Phase::kBackward);
    scatter.elements = std::max(elements, real(a_.vocab_size) * real(a_.hidden_size));
    set_work(scatter, elements, elements * bytes_ + real(view_.tokens) * kIndexBytes,
             real(a_.vocab_size) * real(a_.hidden_size) * bytes_);
    backward_.push_back(scatter);
    if (a_.position.kind == PositionKind::kLearned) {
        pointwise("position", OperatorKind::kElementwise, elements, {2, 1, 1}, {1, 1, 1});
    }
    if (a_.embedding_dropout > 0.0) {
        pointwise("dropout", OperatorKind::kElementwise, real(view_.stream) * real(a_.hidden_size),
                  {1, 1 + 1 / bytes_, 2}, {1 + 1 / bytes_, 1, 2});
    }
}

void BlockWriter::gqa_projections() {
    const Attention& t = a_.attention;
    const std::int64_t rows = view_.tokens;
    linear("q_proj", rows, a_.hidden_size, t.heads * t.head_dim, t.qkv_bias);
    linear("k_proj", rows, a_.hidden_size, t.kv_heads * t.head_dim, t.qkv_bias);
    linear("v_proj", rows, a_.hidden_size, t.kv_heads * t.head_dim, t.qkv_bias);
    if (t.qk_norm) {
        norm("q_norm", rows * t.heads, t.head_dim);
        norm("k_norm", rows * t.kv_heads, t.head_dim);
    }
    if (a_.position.kind == PositionKind::kRope) {
        const double elements = real(rows) * real(t.heads + t.kv_heads) * real(t.head_dim);
        pointwise("rope", OperatorKind::kRope, elements, {1, 1, 3}, {1, 1, 3});
    }
}

// The down-projections are held whole by every TP rank and see the rows of the residual stream.
void BlockWriter::mla_projections() {
    const Attention& t = a_.attention;
    const std::int64_t rows = view_.tokens;
    const std::int64_t q_size = t.heads * t.head_dim;
    if (t.q_lora_rank > 0) {
        linear("q_a_proj", view_.stream, a_.hidden_size, t.q_lora_rank, t.qkv_bias);
        norm("q_a_norm", view_.stream, t.q_lora_rank);
        linear("q_b_proj", rows, t.q_lora_rank, q_size, false);
    } else {
        linear("q_proj", rows, a_.hidden_size, q_size, false);
    }
    linear("kv_a_proj", view_.stream, a_.hidden_size, t.kv_lora_rank + t.qk_rope_head_dim,
           t.qkv_bias);
    norm("kv_a_norm", view_.stream, t.kv_lora_rank);
    linear("kv_b_proj", rows, t.kv_lora_rank, t.heads * (t.qk_nope_head_dim + t.v_head_dim), false);
    const double rotated = real(rows) * real(t.heads + 1) * real(t.qk_rope_head_dim);
    pointwise("rope", OperatorKind::kRope, rotated, {1, 1, 3}, {1, 1, 3});
    // Keys are put together from each head's own part and the rotated part that all heads share.
    const double keys = real(rows) * real(q_size);
    pointwise("assemble_keys", OperatorKind::kElementwise, keys, {1, 1, 0}, {1, 1, 1});
}

void BlockWriter::attention() {
    module_ = "attention";
    const Attention& t = a_.attention;
    norm("attention_norm", view_.stream, a_.hidden_size);
    t.kind == AttentionKind::kGqa ? gqa_projections() : mla_projections();

    AttentionShape shape{batch_.sequences,       t.heads,    t.kv_heads,   view_.q_length,
                         batch_.sequence_length, t.head_dim, t.v_head_dim, t.sliding_window};
    const double queries = real(view_.tokens) * real(t.heads);
    const double kv_rows = real(batch_.sequences) * real(batch_.sequence_length) * real(t.kv_heads);
    const double pair_flops = 2.0 * real(t.head_dim + t.v_head_dim);
    const double q_size = queries * real(t.head_dim);
    const double k_size = kv_rows * real(t.head_dim);
    const double v_size = kv_rows * real(t.v_head_dim);
    const double o_size = queries * real(t.v_head_dim);
    const double log_sum_bytes = queries * kFp32Bytes;
    for (const Phase phase : {Phase::kForward, Phase::kBackward}) {
        const bool forward = phase == Phase::kForward;
        Operator op = make("attention", OperatorKind::kAttention, phase);
        op.attention = shape;
        op.elements = std::max({q_size, k_size, o_size});
        // Backward multiplies for dV, dP, dQ and dK: twice the forward's two products.
        const double work = (forward ? 1.0 : 2.0) * pair_flops * queries;
        const double inputs = (q_size + k_size + v_size) * bytes_;
        const double outputs = o_size * bytes_ + log_sum_bytes;
        set_work(op, work * real(batch_.sequence_length),
                 forward ? inputs : inputs + outputs + o_size * bytes_, forward ? outputs : inputs);
        op.flops_causal = work * causal_pairs(batch_.sequence_length, t.sliding_window);
        (forward ? forward_ : backward_).push_back(op);
    }
    linear("o_proj", view_.tokens, t.heads * t.v_head_dim, a_.hidden_size, t.output_bias);
    if (a_.norm.sandwich) norm("attention_post_norm", view_.stream, a_.hidden_size);
    residual("attention_residual");
}

void BlockWriter::mlp(std::string_view module, std::int64_t size) {
    module_ = module;
    const bool shared = module == "moe";
    const bool bias = !shared && a_.mlp.bias;
    const std::int64_t rows = view_.tokens;
    const double elements = real(rows) * real(size);
    if (a_.mlp.kind == MlpKind::kSwiglu) {
        linear(shared ? "shared_gate_proj" : "gate_proj", rows, a_.hidden_size, size, bias);
        linear(shared ? "shared_up_proj" : "up_proj", rows, a_.hidden_size, size, bias);
        pointwise(shared ? "shared_activation" : "activation", OperatorKind::kActivation, elements,
                  {2, 1, 5}, {3, 2, 10});
    } else {
        linear(shared ? "shared_up_proj" : "up_proj", rows, a_.hidden_size, size, bias);
        pointwise(shared ? "shared_activation" : "activation", OperatorKind::kActivation, elements,
                  {1, 1, 8}, {2, 1, 13});
    }
    linear(shared ? "shared_down_proj" : "down_proj", rows, size, a_.hidden_size, bias);
}

// Scores in fp32, as the families' code has it: a flipped choice costs more than the product.
void BlockWriter::router() {
    const std::int64_t rows = view_.stream;
    const std::int64_t experts = a_.moe.experts;
    const double weight = real(experts) * real(a_.hidden_size);
    const auto kind = OperatorKind::kGemm;
    gemm("router", kind, Gradient::kNone, {rows, experts, a_.hidden_size, 1, false}, weight,
         Dtype::kFp32);
    gemm("router", kind, Gradient::kWeight, {experts, a_.hidden_size, rows, 1, false}, weight,
         Dtype::kFp32);
    gemm("router", kind, Gradient::kInput, {rows, a_.hidden_size, experts, 1, false}, weight,
         Dtype::kFp32);
    const double scores = real(rows) * real(experts);
    const double chosen = real(view_.dispatched) * (kFp32Bytes + kIndexBytes);
    Operator choose = make("choose", OperatorKind::kRouter, Phase::kForward);
    choose.dtype = Dtype::kFp32;
    choose.elements = scores;
    set_work(choose, 6.0 * scores, scores * kFp32Bytes, scores * kFp32Bytes + chosen);
    forward_.push_back(choose);
    choose.phase = Phase::kBackward;
    set_work(choose, 4.0 * scores, scores * kFp32Bytes + chosen, scores * kFp32Bytes);
    backward_.push_back(choose);
}

void BlockWriter::moe() {
    module_ = "moe";
    const Moe& m = a_.moe;
    router();
    const double hidden = real(a_.hidden_size);
    const double sent = real(view_.dispatched) * hidden;
    const double received = real(view_.expert_rows) * hidden;
    pointwise("dispatch", OperatorKind::kPermute, sent, {1, 1, 0}, {1, 1 / real(m.topk), 1});
    // Rows that come from other ranks arrive sorted by sender and are sorted again by expert.
    const bool spread = m.local_experts < m.experts || view_.expert_rows != view_.dispatched;
    if (spread) pointwise("sort", OperatorKind::kPermute, received, {1, 1, 0}, {1, 1, 0});
    const std::int64_t size = m.expert_intermediate_size;
    const double elements = real(view_.expert_rows) * real(size);
    if (a_.mlp.kind == MlpKind::kSwiglu) {
        grouped("experts_gate_proj", a_.hidden_size, size);
        grouped("experts_up_proj", a_.hidden_size, size);
        pointwise("experts_activation", OperatorKind::kActivation, elements, {2, 1, 5}, {3, 2, 10});
    } else {
        grouped("experts_up_proj", a_.hidden_size, size);
        pointwise("experts_activation", OperatorKind::kActivation, elements, {1, 1, 8}, {2, 1, 13});
    }
    grouped("experts_down_proj", size, a_.hidden_size);
    if (spread) pointwise("unsort", OperatorKind::kPermute, received, {1, 1, 0}, {1, 1, 0});
    // Weighted sum of topk rows; backward also needs the rows for the weights' gradient.
    pointwise("combine", OperatorKind::kPermute, sent, {1, 1 / real(m.topk), 2},
              {1 + 1 / real(m.topk), 1, 3});
    if (m.shared_experts > 0) {
        mlp("moe", m.shared_intermediate_size);
        const double added = real(view_.stream) * hidden;
        pointwise("add_shared", OperatorKind::kElementwise, added, {2, 1, 1}, {2, 1, 1});
    }
}

void BlockWriter::layer(LayerKind kind) {
    attention();
    module_ = kind == LayerKind::kMoe ? "moe" : "mlp";
    norm("mlp_norm", view_.stream, a_.hidden_size);
    kind == LayerKind::kMoe ? moe() : mlp("mlp", a_.mlp.intermediate_size);
    if (a_.norm.sandwich) norm("mlp_post_norm", view_.stream, a_.hidden_size);
    residual("mlp_residual");
}

// Logits, and their softmax in fp32, which stays for backward.
void BlockWriter::loss() {
    linear("output", view_.tokens, a_.hidden_size, a_.vocab_size, false);
    const double logits = real(view_.tokens) * real(a_.vocab_size);
    const double labels = real(view_.tokens) * kIndexBytes;
    Operator op = make("cross_entropy", OperatorKind::kCrossEntropy, Phase::kForward);
    op.elements = logits;
    set_work(op, 5.0 * logits, logits * bytes_ + labels, logits * kFp32Bytes);
    forward_.push_back(op);
    op.phase = Phase::kBackward;
    set_work(op, 2.0 * logits, logits * kFp32Bytes + labels, logits * bytes_);
    backward_.push_back(op);
}

void BlockWriter::head() {
    module_ = "head";
    norm("final_norm", view_.stream, a_.hidden_size);
    loss();
}

void BlockWriter::mtp() {
    embedding();
    module_ = "mtp";
    norm("embedding_norm", view_.stream, a_.hidden_size);
    norm("hidden_norm", view_.stream, a_.hidden_size);
    const double joined = real(view_.stream) * 2.0 * real(a_.hidden_size);
    pointwise("join", OperatorKind::kElementwise, joined, {1, 1, 0}, {1, 1, 0});
    linear("projection", view_.stream, 2 * a_.hidden_size, a_.hidden_size, false);
    layer(mtp_layer_kind(a_));
    module_ = "mtp";
    norm("final_norm", view_.stream, a_.hidden_size);
    loss();
}

// Clipping reads every gradient for the norm and scales it; AdamW reads gradient, master weight and
// two moments, and writes the latter three and the working copy. All in fp32 but the copy.
void BlockWriter::parameters() {
    module_ = "parameters";
    const double count = real(block_parameters(a_, block_));
    const auto add = [&](std::string_view name, OperatorKind kind, Phase phase, double flops,
                         double read, double written) {
        Operator op = make(name, kind, phase);
        op.dtype = Dtype::kFp32;
        op.elements = count;
        set_work(op, flops * count, read * count, written * count);
        update_.push_back(op);
    };
    const double copy = batch_.dtype == Dtype::kFp32 ? 0.0 : bytes_;
    add("gradient_norm", OperatorKind::kReduction, Phase::kClip, 2, kFp32Bytes, 0);
    add("gradient_scale", OperatorKind::kElementwise, Phase::kClip, 1, kFp32Bytes, kFp32Bytes);
    add("adamw", OperatorKind::kOptimizer, Phase::kOptimizer, 12, 4 * kFp32Bytes,
        3 * kFp32Bytes + copy);
}

}  // namespace ascertain::model
