#include "predict/cost/runs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include "predict/cost/step.hpp"

namespace ascertain::cost {
namespace {

using model::Architecture;
using parallel::Plan;

// Reading of fields that may be missing or null, and of a wrong type only by mistake.
std::optional<double> number(const Json& object, const char* key) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_number()) return std::nullopt;
    return found->get<double>();
}
std::optional<std::int64_t> whole(const Json& object, const char* key) {
    const std::optional<double> value = number(object, key);
    if (!value || *value != std::floor(*value) || std::abs(*value) > 1e15) return std::nullopt;
    return static_cast<std::int64_t>(*value);
}
std::optional<bool> flag(const Json& object, const char* key) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_boolean()) return std::nullopt;
    return found->get<bool>();
}
std::string text(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}
const Json& part(const Json& object, const char* key) {
    static const Json empty = Json::object();
    const auto found = object.find(key);
    return found != object.end() && found->is_object() ? *found : empty;
}
std::vector<std::string> texts(const Json& object, const char* key) {
    std::vector<std::string> list;
    const auto found = object.find(key);
    if (found == object.end() || !found->is_array()) return list;
    for (const Json& entry : *found)
        if (entry.is_string()) list.push_back(entry.get<std::string>());
    return list;
}

// The first thing that keeps a row from being predicted.
class Refusal {
public:
    void because(std::string reason) {
        if (reason_.empty()) reason_ = std::move(reason);
    }
    std::int64_t need(std::optional<std::int64_t> value, std::string_view field) {
        if (!value || *value < 1) because(fmt::format("missing:{}", field));
        return value.value_or(1);
    }
    [[nodiscard]] const std::string& reason() const { return reason_; }

private:
    std::string reason_;
};

// One window for all layers with the work of a window on every n-th and none on the others: causal
// attention within w of s tokens costs w - w^2 / 2s keys per query.
std::int64_t mean_window(std::int64_t window, std::int64_t every, std::int64_t length) {
    if (every <= 1 || window < 1 || window >= length) return window;
    const double s = static_cast<double>(length);
    const double w = static_cast<double>(window);
    const double share = 1.0 / static_cast<double>(every);
    const double keys = share * (w - w * w / (2.0 * s)) + (1.0 - share) * s / 2.0;
    return std::llround(s * (1.0 - std::sqrt(1.0 - 2.0 * keys / s)));
}

Architecture read_model(const Json& model, const Json& setup, const std::string& id,
                        Refusal& refusal) {
    Architecture a;
    a.name = id;
    const bool gated = flag(model, "gated_mlp").value_or(true);
    a.family = gated ? model::Family::kLlama : model::Family::kGpt2;
    a.hidden_size = refusal.need(whole(model, "hidden"), "model.hidden");
    a.vocab_size = refusal.need(whole(model, "vocab"), "model.vocab");
    a.mlp.kind = gated ? model::MlpKind::kSwiglu : model::MlpKind::kGeluTanh;
    a.norm.kind = gated ? model::NormKind::kRms : model::NormKind::kLayer;
    a.tied_embeddings = flag(setup, "tied_embeddings").value_or(false);
    a.mtp_layers = whole(setup, "mtp_layers").value_or(0);
    a.position.length_max = whole(setup, "seq").value_or(4096);

    model::Attention& attention = a.attention;
    attention.heads = refusal.need(whole(model, "heads"), "model.heads");
    attention.kv_heads = whole(model, "kv_heads").value_or(attention.heads);
    const Json& mla = part(model, "mla");
    if (!mla.empty()) {
        attention.kind = model::AttentionKind::kMla;
        attention.kv_heads = attention.heads;
        attention.q_lora_rank = whole(mla, "q_lora").value_or(0);
        attention.kv_lora_rank = refusal.need(whole(mla, "kv_lora"), "model.mla.kv_lora");
        attention.qk_nope_head_dim = refusal.need(whole(mla, "qk_nope"), "model.mla.qk_nope");
        attention.qk_rope_head_dim = refusal.need(whole(mla, "qk_rope"), "model.mla.qk_rope");
        attention.v_head_dim = refusal.need(whole(mla, "v_head"), "model.mla.v_head");
        attention.head_dim = attention.qk_nope_head_dim + attention.qk_rope_head_dim;
    } else {
        attention.head_dim = whole(model, "head_dim").value_or(a.hidden_size / attention.heads);
        attention.v_head_dim = attention.head_dim;
    }
    if (const auto window = whole(setup, "attention_window"))
        attention.sliding_window =
            mean_window(*window, whole(setup, "attention_window_every").value_or(1),
                        whole(setup, "seq").value_or(a.position.length_max));

    const std::int64_t layers = refusal.need(whole(model, "layers"), "model.layers");
    const Json& moe = part(setup, "moe");
    if (moe.empty()) {
        a.mlp.intermediate_size = refusal.need(whole(model, "ffn"), "model.ffn");
        a.layers = {{model::LayerKind::kDense, layers}};
        return a;
    }
    a.moe.experts = refusal.need(whole(moe, "experts"), "moe.experts");
    a.moe.local_experts = a.moe.experts;
    a.moe.topk = refusal.need(whole(moe, "topk"), "moe.topk");
    a.moe.expert_intermediate_size = refusal.need(whole(moe, "expert_ffn"), "moe.expert_ffn");
    a.moe.groups = whole(moe, "groups").value_or(1);
    a.moe.topk_groups = whole(moe, "topk_groups").value_or(1);
    a.moe.shared_experts = whole(moe, "shared_experts").value_or(0);
    a.moe.shared_intermediate_size = a.moe.shared_experts * a.moe.expert_intermediate_size;
    const std::int64_t dense = whole(moe, "dense_layers").value_or(0);
    a.mlp.intermediate_size = whole(model, "ffn").value_or(a.moe.expert_intermediate_size);
    if (dense > 0) a.layers.push_back({model::LayerKind::kDense, dense});
    if (layers > dense) a.layers.push_back({model::LayerKind::kMoe, layers - dense});
    return a;
}

// What a selective policy does again of a layer's forward, and what it spares of the bytes that a
// layer saves beyond its input (docs/formulas.md#saved-activations: of about 33 bytes per element
// of a gated layer the activation function has 21, a norm 2). Core attention has its own case.
// "all_but_qkv_projection" leaves about a sixth of the work (3 of 12 h^2 products, and not the
// attention) and keeps nothing but queries, keys and values.
struct ModuleShare {
    std::string_view name;
    double work;
    double freed;
};
void read_modules(const std::vector<std::string>& modules, Plan& plan) {
    constexpr std::array<ModuleShare, 8> kShares{{
        {"every_second_matmul", 0.5, 0.5},
        {"all_but_qkv_projection", 0.83, 0.92},
        {"mla_up_projection", 0.08, 0.15},
        {"moe", 0.5, 0.6},
        {"dense_mlp", 0.02, 0.05},
        {"norm", 0.03, 0.06},
        {"activation_function", 0.03, 0.2},
        {"moe_activation", 0.03, 0.2},
    }};
    plan.recompute_share = 0.0;
    plan.recompute_freed = 0.0;
    for (const std::string& module : modules)
        for (const ModuleShare& share : kShares) {
            if (share.name != module) continue;
            plan.recompute_share = std::min(1.0, plan.recompute_share + share.work);
            plan.recompute_freed = std::min(1.0, plan.recompute_freed + share.freed);
        }
    // "selective" with nothing named: the cheap operators, as stacks do by default.
    if (modules.empty()) {
        plan.recompute_share = 0.06;
        plan.recompute_freed = 0.2;
    }
}

// `assumed` gains what had to be guessed.
void read_recompute(const Json& setup, std::int64_t depth, Plan& plan, Refusal& refusal,
                    std::vector<std::string>& assumed) {
    const std::string policy = text(setup, "recompute");
    const std::vector<std::string> modules = texts(setup, "recompute_modules");
    if (policy == "none") {
        plan.recompute = parallel::Recompute::kNone;
    } else if (policy == "full") {
        plan.recompute = parallel::Recompute::kFull;
    } else if (policy == "selective_attention") {
        plan.recompute = parallel::Recompute::kSelective;
    } else if (policy == "selective_other") {
        plan.recompute = parallel::Recompute::kPartial;
        read_modules(modules, plan);
    } else if (policy == "blocks") {
        plan.recompute = parallel::Recompute::kBlocks;
        const auto layers = setup.find("recompute_layers");
        double sum = 0.0;
        double count = 0.0;
        if (layers != setup.end() && layers->is_array()) {
            for (const Json& entry : *layers)
                if (entry.is_number()) sum += entry.get<double>(), count += 1.0;
        } else if (const auto all = number(setup, "recompute_layers")) {
            sum = *all;
            count = 1.0;
        }
        if (count == 0.0) {
            // Some layers, nobody says how many: half of a stage's.
            sum = 0.5 * static_cast<double>(depth) / static_cast<double>(plan.pp);
            count = 1.0;
            assumed.emplace_back("recompute");
        }
        plan.recompute_layers = std::llround(sum / count);
    } else {
        refusal.because("missing:recompute");
    }
}

Plan read_plan(const Json& setup, const std::string& framework, std::int64_t layers,
               Refusal& refusal, std::vector<std::string>& assumed) {
    Plan plan;
    plan.tp = refusal.need(whole(setup, "tp"), "tp");
    plan.pp = refusal.need(whole(setup, "pp"), "pp");
    plan.dp = refusal.need(whole(setup, "dp"), "dp");
    plan.cp = whole(setup, "cp").value_or(1);
    plan.ep = whole(setup, "ep").value_or(1);
    plan.etp = whole(setup, "etp").value_or(1);
    plan.vpp = whole(setup, "vpp").value_or(1);
    plan.micro_batch = refusal.need(whole(setup, "micro_batch"), "micro_batch");
    plan.sequence_parallel = flag(setup, "sequence_parallel").value_or(false) && plan.tp > 1;
    plan.ends_count_as_layers = flag(setup, "ends_count_as_layers").value_or(false);
    plan.flash_attention =
        flag(setup, "flash_attention").value_or(whole(setup, "year").value_or(2025) >= 2023);
    // Both cut a stage boundary into one part per tensor-parallel rank (Megatron-LM:
    // scatter-gather, arXiv 2104.04473 section 4.1; DeepSpeed: partitioned activations between
    // stages).
    plan.partitioned_p2p = framework == "megatron" || framework == "deepspeed";

    using parallel::ScheduleKind;
    const std::string schedule = text(setup, "schedule");
    constexpr std::array<std::pair<std::string_view, ScheduleKind>, 6> kSchedules{{
        {"gpipe", ScheduleKind::kGPipe},
        {"dualpipe", ScheduleKind::kDualPipe},
        {"dualpipev", ScheduleKind::kDualPipeV},
        {"zero-bubble", ScheduleKind::kZbH1},
        {"1f1b", ScheduleKind::k1F1B},
        {"interleaved", ScheduleKind::kInterleaved},
    }};
    plan.schedule = plan.vpp > 1 ? ScheduleKind::kInterleaved : ScheduleKind::k1F1B;
    for (const auto& [name, kind] : kSchedules)
        if (name == schedule) plan.schedule = kind;
    if (plan.schedule == ScheduleKind::kInterleaved && plan.vpp == 1)
        plan.schedule = ScheduleKind::k1F1B;
    if (plan.schedule != ScheduleKind::kInterleaved) plan.vpp = 1;
    if (plan.pp == 1) {
        plan.schedule = ScheduleKind::kNone;
        plan.vpp = 1;
    }

    using parallel::Sharding;
    constexpr std::array<std::pair<std::string_view, Sharding>, 5> kShardings{{
        {"none", Sharding::kNone},
        {"zero1", Sharding::kZero1},
        {"zero2", Sharding::kZero2},
        {"zero3", Sharding::kZero3},
        {"hsdp", Sharding::kHsdp},
    }};
    bool known = false;
    for (const auto& [name, kind] : kShardings) {
        if (name != text(setup, "sharding")) continue;
        plan.sharding = kind;
        known = true;
    }
    if (!known) refusal.because("missing:sharding");
    plan.sharding_group = whole(setup, "sharding_group").value_or(0);
    if (plan.sharding == Sharding::kNone) plan.sharding_group = 0;

    const std::string cp_kind = text(setup, "cp_kind");
    if (cp_kind == "ulysses") plan.cp_kind = parallel::CpKind::kUlysses;
    if (cp_kind == "allgather") plan.cp_kind = parallel::CpKind::kAllGather;
    // Where a source is silent: what its kind of stack does unless told otherwise.
    const Json& overlap = part(setup, "overlap");
    const bool gathers = plan.sharding == Sharding::kZero3 || plan.sharding == Sharding::kHsdp;
    plan.overlap_tp = flag(overlap, "tp").value_or(false) && plan.tp > 1;
    // Sharded optimizers exchange beside the last backward since about 2023.
    constexpr std::int64_t kOverlapIsUsual = 2023;
    const bool usual = (plan.sharding == Sharding::kZero1 || plan.sharding == Sharding::kZero2) &&
                       whole(setup, "year").value_or(0) >= kOverlapIsUsual;
    plan.overlap_dp = flag(overlap, "dp").value_or(gathers || usual);
    // DeepSpeed's pipeline sends and receives one after the other.
    plan.duplex_p2p = framework != "deepspeed";
    plan.overlap_pp = flag(overlap, "pp").value_or(plan.vpp > 1);
    plan.overlap_cp = flag(overlap, "cp").value_or(true);
    plan.overlap_ep = flag(overlap, "ep").value_or(false);
    read_recompute(setup, layers, plan, refusal, assumed);
    return plan;
}

TrainingJob read_job(const Json& setup, const std::string& framework, Refusal& refusal) {
    TrainingJob job;
    job.sequence_length = refusal.need(whole(setup, "seq"), "seq");
    job.global_batch_sequences =
        refusal.need(whole(setup, "global_batch_seqs"), "global_batch_seqs");
    job.framework = framework;
    job.fabric = text(setup, "scale_out");
    const std::string dtype = text(setup, "dtype");
    const std::string recipe = text(setup, "fp8_recipe");
    if (dtype == "fp16") {
        job.dtype = model::Dtype::kFp16;
    } else if (dtype == "fp8") {
        job.linear = recipe == "rowwise_dynamic" ? LinearFormat::kFp8Rowwise
                     : recipe == "blockwise"     ? LinearFormat::kFp8Block
                                                 : LinearFormat::kFp8;
    } else if (dtype == "mxfp8") {
        job.linear = LinearFormat::kMxFp8;
    } else if (dtype == "nvfp4") {
        job.linear = LinearFormat::kFp4;
    } else if (dtype != "bf16") {
        refusal.because("missing:dtype");
    }
    const std::string gradients = text(setup, "grad_dtype");
    const bool sums_in_fp32 =
        job.dtype == model::Dtype::kBf16 && (framework == "deepspeed" || framework == "megatron" ||
                                             framework == "torchtitan" || framework == "mindspeed");
    job.gradient_bytes = gradients == "fp32"   ? 4.0
                         : gradients == "bf16" ? 2.0
                         : sums_in_fp32        ? 4.0
                                               : 2.0;
    // DeepSpeed's engines add finished gradients to their sums in a pass of its own.
    job.fused_accumulation =
        flag(setup, "gradient_accumulation_fusion").value_or(framework != "deepspeed");
    job.software_year = whole(setup, "year").value_or(0);
    job.compiled = flag(setup, "compiled").value_or(false);
    job.captured_graphs = flag(setup, "cuda_graphs").value_or(false);
    job.frozen_weights = whole(setup, "lora_rank").has_value();
    // Without forced balance the busiest rank has about a tenth more: guessed.
    const std::string routing = text(part(setup, "moe"), "routing");
    if (routing == "dropless" || routing == "token_drop") job.expert_imbalance = 1.1;
    job.expert_capacity_fixed = routing == "token_drop";
    return job;
}

catalog::Fleet read_fleet(const Json& setup, const catalog::Catalog& catalog, Refusal& refusal,
                          std::vector<std::string>& assumed) {
    catalog::Fleet fleet;
    fleet.count = refusal.need(whole(setup, "devices"), "devices");
    fleet.chips_per_node = whole(setup, "devices_per_node").value_or(8);
    const std::string chip = text(setup, "chip");
    const Result<catalog::Chip> found = catalog.find_chip(chip);
    if (!found) {
        refusal.because(chip.empty() ? "missing:chip" : fmt::format("unknown:chip {}", chip));
        return fleet;
    }
    fleet.chip = catalog::per_device(*found);
    if (const auto up = catalog.find_network(found->scale_up_network)) fleet.scale_up = *up;
    if (const auto domain = whole(setup, "scale_up_domain"))
        fleet.chip.scale_up_domain.value = static_cast<double>(*domain);
    catalog::Figure<BytesPerSecond>& rate = fleet.scale_out.per_direction_per_chip;
    fleet.scale_out.id = text(setup, "scale_out");
    rate = fleet.chip.scale_out_per_chip;
    if (const auto gbit = number(setup, "nic_gbit_per_s_per_device")) {
        rate.value = BytesPerSecond{*gbit * 1e9 / 8.0};
        rate.kind = catalog::Kind::kPublished;
        rate.source = "the run's own description";
    }
    const double domain =
        fleet.chip.scale_up_domain.value.value_or(static_cast<double>(fleet.chips_per_node));
    if (!rate.value && static_cast<double>(fleet.count) > domain) {
        // Ports of a training node as most have been built: 200 Gb/s a device, 400 since Hopper.
        constexpr std::int64_t kHopper = 2022;
        const bool older = whole(setup, "year").value_or(kHopper) < kHopper;
        rate.value = BytesPerSecond{older ? 25e9 : 50e9};
        rate.kind = catalog::Kind::kGuessed;
        rate.source = "nobody names the network";
        assumed.emplace_back("nic_gbit_per_s_per_device");
    }
    if (const auto over = number(setup, "oversubscription"))
        fleet.scale_out.oversubscription.value = *over;
    fleet.full_bisection_devices = whole(setup, "full_bisection_devices").value_or(0);
    return fleet;
}

PublishedRun read_run(const Json& row, std::size_t index, const catalog::Catalog& catalog) {
    PublishedRun run;
    run.id = text(row, "id");
    if (run.id.empty()) run.id = fmt::format("row {}", index + 1);
    run.series = text(row, "series");
    run.trust = text(row, "trust");
    const Json& setup = part(row, "setup");
    run.chip = text(setup, "chip");
    run.framework = text(setup, "framework");
    run.assumed = texts(setup, "assumed");
    run.experts = !part(setup, "moe").empty();
    Refusal refusal;
    if (setup.empty()) refusal.because("missing:setup");
    if (!flag(setup, "score_ready").value_or(false)) {
        const std::vector<std::string> reasons = texts(setup, "not_ready_because");
        refusal.because(reasons.empty() ? "not score_ready" : reasons.front());
    }
    run.measured_step_s = number(setup, "measured_step_s").value_or(0.0);
    if (!(run.measured_step_s > 0.0)) refusal.because("missing:measured_step_s");
    run.uncertainty = number(setup, "measured_rel_uncertainty").value_or(0.02);
    run.architecture = read_model(part(row, "model"), setup, run.id, refusal);
    run.plan = read_plan(setup, run.framework, layer_count(run.architecture), refusal, run.assumed);
    run.job = read_job(setup, run.framework, refusal);
    run.job.sharded_weights = parallel::shards_weights(run.plan);
    run.fleet = read_fleet(setup, catalog, refusal, run.assumed);
    if (refusal.reason().empty()) {
        // Tokens that are split over TP ranks cannot be routed twice: trainers demand this too.
        if (run.experts && run.plan.tp > 1) run.plan.sequence_parallel = true;
        run.architecture = padded_for(run.architecture, run.plan.tp);
        const Result<void> sound = model::validate(run.architecture);
        if (!sound) refusal.because(sound.error().text());
    }
    if (refusal.reason().empty()) {
        const Result<void> valid =
            parallel::check_plan(run.architecture, run.plan, run.fleet.count, run.job.batch());
        if (!valid) refusal.because(valid.error().text());
    }
    run.refused_because = refusal.reason();
    return run;
}

}  // namespace

std::vector<std::string> PublishedRun::decisive_assumptions() const {
    constexpr std::array<std::string_view, 3> kDecisive{"micro_batch", "vpp", "recompute"};
    std::vector<std::string> list;
    for (const std::string& field : assumed)
        if (std::find(kDecisive.begin(), kDecisive.end(), field) != kDecisive.end() ||
            (field == "nic_gbit_per_s_per_device" &&
             fleet.scale_out.per_direction_per_chip.kind == catalog::Kind::kGuessed))
            list.push_back(field);
    return list;
}

Result<std::vector<PublishedRun>> read_runs(const Json& document, const catalog::Catalog& catalog,
                                            std::string_view name) {
    std::vector<PublishedRun> runs;
    const auto wrong = [&](std::string message) {
        return Error{ErrorCode::kBadInput, std::move(message), std::string(name)};
    };
    const Json* list = &document;
    if (document.is_object() && !document.contains("setup"))
        for (const char* key : {"rows", "runs"})
            if (const auto found = document.find(key); found != document.end()) list = &*found;
    if (list->is_object()) {
        runs.push_back(read_run(*list, 0, catalog));
        return runs;
    }
    if (!list->is_array()) return wrong("must be a list of published runs, or one");
    runs.reserve(list->size());
    for (std::size_t i = 0; i < list->size(); ++i) {
        if (!(*list)[i].is_object()) return wrong(fmt::format("entry {} is no object", i));
        runs.push_back(read_run((*list)[i], i, catalog));
    }
    return runs;
}

}  // namespace ascertain::cost
