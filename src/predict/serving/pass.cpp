#include "predict/serving/pass.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <vector>

#include "model/operators.hpp"
#include "model/shard.hpp"
#include "predict/cost/collective.hpp"
#include "predict/cost/operator_cost.hpp"

namespace ascertain::serving {
namespace {

using cost::Collective;
using cost::Constant;
using cost::GroupShape;
using cost::PassSeconds;
using model::Block;
using model::Operator;
using model::OperatorKind;

// Busiest expert rank over the mean, with redundant experts and a balancer. A guess: SGLang reports
// a balancedness of 0.7 to 0.9 at EP72 (lmsys.org 2025-05-05).
constexpr double kImbalance = 1.2;
// Scheduler, sampling and detokenising between two passes. A guess; engines hide some of it.
constexpr double kHostSeconds = 1.0e-3;
constexpr double kHalf = 2.0;  // bytes of a 16-bit element
// Of the peak that attention over latents reaches when products bind it: 0.667 on H800 (FlashMLA,
// 660 TFLOP/s), 0.654 on a 910C die (arXiv 2506.12708, MLA operator). Its heads share keys, so it
// is a plain product, unlike the causal attention of training.
constexpr double kLatentShare = 0.65;

double real(std::int64_t value) {
    return static_cast<double>(value);
}

// What a pass works on, in each group.
struct Rows {
    double tokens = 0.0;       // that go through the layers
    double answers = 0.0;      // that go through the head
    double flops_pairs = 0.0;  // query-key pairs per group
    double cache_rows = 0.0;   // cached tokens read per group; prefill reads each once
    bool decode = false;
};

model::Shard shard_of(const Server& server) {
    const bool experts = server.whole.moe.experts > 0;
    model::Shard shard;
    shard.tp = server.layout.tp;
    shard.ep = experts ? server.layout.stage_chips() : 1;
    // Without it the ranks of a group would route the same tokens.
    shard.sequence_parallel = experts && shard.tp > 1;
    return shard;
}

// Share of a chip's experts that at least one row chooses, when each chooses topk of them evenly.
double touched_ratio(const Server& server, double tokens) {
    const auto& moe = server.whole.moe;
    if (moe.experts == 0 || moe.topk >= moe.experts) return 1.0;
    const double missed = std::log1p(-real(moe.topk) / real(moe.experts));
    return -std::expm1(tokens * real(server.layout.dp) * missed);
}

// Weights are read in their own format, those of experts that nobody chose not at all.
void price_weights(Operator& op, const Server& server, double touched) {
    if (op.kind != OperatorKind::kGemm && op.kind != OperatorKind::kGroupedGemm) return;
    const bool low = op.dtype == model::Dtype::kFp8;
    const double operand =
        low ? std::min(1.0, weight_bytes(server.engine.precision)) : model::size_bytes(op.dtype);
    const double weight = low ? weight_bytes(server.engine.precision) : operand;
    const double groups = real(std::max<std::int64_t>(1, op.gemm.batch));
    const bool grouped = op.kind == OperatorKind::kGroupedGemm;
    const double elements = real(op.gemm.n) * real(op.gemm.k) * groups * (grouped ? touched : 1.0);
    op.bytes_read = real(op.gemm.m) * real(op.gemm.k) * operand + elements * weight;
}

// Keys and values of the cache, or latents of it (MLA, weights absorbed: arXiv 2405.04434 section
// 2.1.2), against the queries.
cost::OperatorWork attention_work(const Server& server, const Rows& rows) {
    const model::Attention& a = server.rank.attention;
    const bool latent = rows.decode && a.kind == model::AttentionKind::kMla;
    const double keys = latent ? real(a.kv_lora_rank + a.qk_rope_head_dim) : real(a.head_dim);
    const double values = latent ? real(a.kv_lora_rank) : real(a.v_head_dim);
    const double row_elements =
        a.kind == model::AttentionKind::kMla
            ? (latent ? keys : real(a.heads) * (keys + values))  // prefill expands the latents
            : real(a.kv_heads) * (keys + values);
    cost::OperatorWork work;
    work.family = cost::OperatorWork::Class::kAttention;
    work.flops = 2.0 * real(a.heads) * (keys + values) * rows.flops_pairs;
    if (latent) work.flops *= server.machine.c(Constant::kFlashShare) / kLatentShare;
    work.flops_full = work.flops;
    work.bytes = rows.cache_rows * row_elements * server.engine.cache_bytes +
                 rows.tokens * real(a.heads) * (keys + values) * kHalf;
    return work;
}

// Groups of few chips sum by reading one another at once: one hop, every operand crosses.
double all_reduce_seconds(const cost::Machine& machine, double bytes, const GroupShape& group) {
    const double ring = cost::collective_seconds(machine, Collective::kAllReduce, bytes, group);
    if (group.domains > 1.0 || group.size <= 1.0) return ring;
    const double direct = (group.size - 1.0) * bytes / machine.link_rate(group.members) +
                          machine.c(Constant::kLinkLatency);
    return std::min(ring, direct);
}

double tensor_seconds(const Server& server, double tokens, double halves) {
    if (server.layout.tp <= 1) return 0.0;
    const GroupShape group = GroupShape::of(server.machine, real(server.layout.tp), 1.0);
    const double bytes = tokens * real(server.whole.hidden_size) * kHalf;
    return halves * all_reduce_seconds(server.machine, bytes, group);
}

double exchange_seconds(const Server& server, const Rows& rows) {
    const double chips = real(server.layout.stage_chips());
    if (chips <= 1.0) return 0.0;
    const GroupShape group = GroupShape::of(server.machine, chips, 1.0);
    const auto& moe = server.whole.moe;
    cost::ExpertTraffic traffic;
    traffic.rows = rows.tokens / real(server.layout.tp) * real(moe.topk);
    traffic.choices = real(moe.topk);
    traffic.imbalance = kImbalance;
    // Prefill sends a token once to a domain; decode sends every copy by itself, which saves a hop
    // (DeepEP's normal and low-latency kernels).
    traffic.deduplicated = !rows.decode;
    if (!rows.decode && moe.groups > 1) traffic.domains_per_token_max = real(moe.topk_groups);
    const double hidden = real(server.whole.hidden_size);
    traffic.row_bytes = hidden * (server.engine.precision == Precision::kBf16 ? kHalf : 1.0);
    const double dispatch = cost::expert_exchange_seconds(server.machine, traffic, group);
    traffic.row_bytes = hidden * kHalf;
    return dispatch + cost::expert_exchange_seconds(server.machine, traffic, group);
}

// Compute and waiting of one block; the head prices `answers` rows, everything else `tokens`.
PassSeconds block_seconds(const Server& server, const std::vector<Operator>& operators, Block block,
                          const Rows& rows) {
    PassSeconds out;
    for (const cost::OperatorWork& work : cost::work_of(operators, block)) {
        double seconds = cost::seconds_of(work, server.machine, server.job, true);
        using Class = cost::OperatorWork::Class;
        if (work.family == Class::kGrouped && server.layout.stage_chips() > 1)
            seconds *= kImbalance;
        const bool product = work.family == Class::kMatrix || work.family == Class::kGrouped;
        (product ? out.matrix : out.stream) += seconds;
    }
    const bool layer =
        block == Block::kDenseLayer || block == Block::kMoeLayer || block == Block::kMtp;
    if (!layer) return out;
    out.attention +=
        cost::seconds_of(attention_work(server, rows), server.machine, server.job, true);
    const bool experts =
        block == Block::kMoeLayer || (block == Block::kMtp && server.whole.moe.experts > 0);
    const bool whole_half = !experts || server.whole.moe.shared_experts > 0;
    out.tp = tensor_seconds(server, rows.tokens, whole_half ? 2.0 : 1.0);
    if (experts) {
        const double traffic = exchange_seconds(server, rows);
        out.ep = server.engine.overlap ? cost::exposed(traffic, out.compute(),
                                                       server.machine.c(Constant::kEpContention))
                                       : traffic;
    }
    return out;
}

// Forward operators of `rows` rows, without loss and attention: that is priced from the cache.
Result<std::vector<Operator>> forward_operators(const Server& server, double rows, bool low,
                                                double touched) {
    const std::int64_t tp = server.layout.tp;
    model::Batch batch;
    // Rows are all that products see; as sequences of tp tokens they divide over any group.
    batch.sequence_length = tp;
    batch.sequences = std::max<std::int64_t>(1, std::llround(std::ceil(rows / real(tp))));
    batch.dtype = model::Dtype::kBf16;
    batch.linear_dtype = low && server.engine.precision != Precision::kBf16 ? model::Dtype::kFp8
                                                                            : model::Dtype::kBf16;
    auto all = model::operators(server.whole, shard_of(server), batch);
    if (!all) return all.error();
    std::vector<Operator> kept;
    for (Operator& op : *all) {
        const bool forward = op.phase == model::Phase::kForward;
        if (!forward || op.kind == OperatorKind::kCrossEntropy ||
            op.kind == OperatorKind::kAttention)
            continue;
        price_weights(op, server, touched);
        kept.push_back(op);
    }
    return kept;
}

// From one stage to the next go the rows of the residual stream.
double send_seconds(const Server& server, double rows) {
    const Layout& layout = server.layout;
    if (layout.pp <= 1) return 0.0;
    const GroupShape neighbours = GroupShape::of(server.machine, 2.0, real(layout.stage_chips()));
    return cost::collective_seconds(server.machine, cost::Collective::kSendReceive,
                                    rows * real(server.whole.hidden_size) * kHalf, neighbours);
}

Result<Pass> price(const Server& server, const Rows& rows) {
    const double touched = touched_ratio(server, rows.tokens);
    const auto operators = forward_operators(server, rows.tokens, true, touched);
    if (!operators) return operators.error();
    const auto head = forward_operators(server, rows.answers, false, touched);
    if (!head) return head.error();
    Pass pass;
    for (const Block block : {Block::kEmbedding, Block::kDenseLayer, Block::kMoeLayer}) {
        const double count = real(model::block_count(server.whole, block));
        if (count > 0.0)
            pass.layers += block_seconds(server, *operators, block, rows).scaled(count);
    }
    pass.head = block_seconds(server, *head, Block::kHead, rows);
    pass.host_s = kHostSeconds;
    pass.stages = server.layout.pp;
    pass.fullest_share = fullest_share(server);
    pass.send_s = send_seconds(server, rows.tokens);
    return pass;
}

// A draft is one pass of the MTP module over the answers' rows; its head is the model's.
Result<PassSeconds> draft_seconds(const Server& server, double sequences, double context) {
    Rows rows;
    rows.tokens = sequences;
    rows.answers = sequences;
    rows.flops_pairs = sequences * context;
    rows.cache_rows = sequences * context;
    rows.decode = true;
    const auto operators =
        forward_operators(server, sequences, true, touched_ratio(server, sequences));
    if (!operators) return operators.error();
    return block_seconds(server, *operators, Block::kMtp, rows);
}

}  // namespace

Result<Server> make_server(const model::Architecture& architecture, const catalog::Fleet& fleet,
                           const Layout& layout, const Engine& engine, const cost::CostBook& book) {
    if (const auto done = check(architecture, layout, engine); !done) return done.error();
    Server server;
    server.whole = architecture;
    server.layout = layout;
    server.engine = engine;
    auto& moe = server.whole.moe;
    if (moe.experts > 0) {
        const std::int64_t unit = std::lcm(layout.stage_chips(), moe.groups);
        moe.experts = (moe.experts + unit - 1) / unit * unit;
        moe.local_experts = moe.experts;
    }
    // Engines pad the vocabulary so that it divides.
    server.whole = model::pad_vocabulary(server.whole, layout.tp);
    auto with = priced(fleet, layout, engine);
    if (!with) return with.error();
    server.job = with->job;
    auto machine = cost::resolve_machine(with->fleet, server.job, book);
    if (!machine) return machine.error();
    server.machine = *std::move(machine);
    server.fleet = std::move(with->fleet);
    auto rank = model::shard_architecture(server.whole, shard_of(server));
    if (!rank) return rank.error();
    server.rank = *std::move(rank);
    return server;
}

Result<Pass> prefill_pass(const Server& server, double prompts, double length,
                          double cached_ratio) {
    const double fresh = length * (1.0 - cached_ratio);
    const double window = real(server.whole.attention.sliding_window);
    Rows rows;
    rows.tokens = prompts * fresh;
    rows.answers = prompts;
    // A new token sees the cached ones and the new ones before it.
    double pairs = fresh * (length - fresh / 2.0);
    if (window > 0.0) pairs = std::min(pairs, fresh * window);
    rows.flops_pairs = prompts * pairs;
    rows.cache_rows = prompts * length;
    return price(server, rows);
}

Result<Pass> decode_pass(const Server& server, double sequences, double context) {
    const double window = real(server.whole.attention.sliding_window);
    const double seen = window > 0.0 ? std::min(context, window) : context;
    const double checked = 1.0 + real(server.engine.draft_tokens);
    Rows rows;
    rows.tokens = sequences * checked;
    rows.answers = rows.tokens;
    rows.flops_pairs = sequences * checked * seen;
    rows.cache_rows = sequences * seen;
    rows.decode = true;
    auto pass = price(server, rows);
    if (!pass || server.engine.draft_tokens == 0) return pass;
    const auto draft = draft_seconds(server, sequences, seen);
    if (!draft) return draft.error();
    pass->head += draft->scaled(real(server.engine.draft_tokens));
    return pass;
}

double fullest_share(const Server& server) {
    const double layers = real(model::layer_count(server.whole));
    return std::ceil(layers / real(server.layout.pp)) / layers;
}

double Pass::latency() const {
    const double hops = static_cast<double>(stages - 1);
    return seconds() + hops * (host_s + send_s);
}

double Pass::busiest_stage() const {
    return layers.total() * fullest_share + head.total() + host_s + send_s;
}

double tokens_per_step(const Engine& engine) {
    double gained = 1.0;
    double run = 1.0;
    for (std::int64_t i = 0; i < engine.draft_tokens; ++i) {
        run *= engine.acceptance;
        gained += run;
    }
    return gained;
}

std::string bound_by(const Pass& pass) {
    PassSeconds all = pass.layers;
    all += pass.head;
    const std::array<std::pair<double, const char*>, 6> parts{{{all.matrix, "weights and products"},
                                                               {all.attention, "attention"},
                                                               {all.stream, "memory traffic"},
                                                               {all.tp, "tensor parallelism"},
                                                               {all.ep, "expert exchange"},
                                                               {pass.host_s, "host"}}};
    return std::ranges::max_element(parts, {}, [](const auto& part) { return part.first; })->second;
}

}  // namespace ascertain::serving
