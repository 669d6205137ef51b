#include "app/qualify/narrow.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "model/parameters.hpp"
#include "model/shard.hpp"
#include "predict/cost/step.hpp"

namespace ascertain::app {
namespace {

// Tokens of the captured step: enough rows for every tile of a matrix unit, few enough for a CPU
// reference in fp64 (docs/performance.md).
constexpr std::int64_t kQuickTokens = 64;
constexpr std::int64_t kStandardTokens = 256;
constexpr std::int64_t kFullTokens = 1024;

// Rows of the vocabulary on a CPU at quick: its matrices are the largest of a rank and would take
// most of the time. Accelerators always get all of them, since real defects hide at the true size.
constexpr std::int64_t kQuickVocabularyOnCpu = 2048;

// fp32 weights and gradients, two fp32 moments, one more copy while cases are cloned.
constexpr double kBytesPerParameter = 4.0 * 5.0;

std::int64_t tokens_of(checks::Profile profile) {
    switch (profile) {
        case checks::Profile::kQuick: return kQuickTokens;
        case checks::Profile::kStandard: return kStandardTokens;
        case checks::Profile::kFull: return kFullTokens;
    }
    return kQuickTokens;
}

// One layer of each kind that the model has, dense first.
void keep_one_layer_of_each_kind(model::Architecture& architecture, std::vector<Cut>& cuts) {
    const double before = static_cast<double>(model::layer_count(architecture));
    std::vector<model::LayerRun> kept;
    for (const auto kind : {model::LayerKind::kDense, model::LayerKind::kMoe}) {
        if (model::layer_count(architecture, kind) > 0) kept.push_back({kind, 1});
    }
    cuts.push_back({"layers", before, static_cast<double>(kept.size())});
    architecture.layers = std::move(kept);
}

void cut_vocabulary(model::Architecture& architecture, std::vector<Cut>& cuts) {
    if (architecture.vocab_size <= kQuickVocabularyOnCpu) return;
    cuts.push_back({"vocabulary", static_cast<double>(architecture.vocab_size),
                    static_cast<double>(kQuickVocabularyOnCpu)});
    architecture.vocab_size = kQuickVocabularyOnCpu;
}

}  // namespace

Result<NarrowedModel> narrow_to_rank(const Situation& situation, const parallel::Plan& plan,
                                     checks::Profile profile, bool on_cpu, Bytes memory_limit) {
    model::Shard shard = parallel::shard_of(plan);
    shard.cp = 1;  // tokens are cut below; a ring over ranks is the links' question
    shard.sequence_parallel = false;
    auto rank = model::shard_architecture(cost::padded_for(situation.architecture, plan.tp), shard);
    if (!rank) return rank.error();
    NarrowedModel narrowed;
    narrowed.architecture = *std::move(rank);
    keep_one_layer_of_each_kind(narrowed.architecture, narrowed.cuts);
    if (on_cpu && profile == checks::Profile::kQuick)
        cut_vocabulary(narrowed.architecture, narrowed.cuts);
    const Stage& stage = situation.campaign.stages.front();
    const double tokens_per_rank =
        static_cast<double>(stage.sequence_length > 0 ? stage.sequence_length
                                                      : stage.response_tokens) *
        static_cast<double>(plan.micro_batch) / static_cast<double>(plan.cp);
    narrowed.sequence_length =
        std::min(tokens_of(profile), narrowed.architecture.position.length_max);
    narrowed.cuts.push_back(
        {"tokens", tokens_per_rank, static_cast<double>(narrowed.sequence_length)});
    if (shard.tp > 1) narrowed.cuts.push_back({"tp", 1.0, static_cast<double>(shard.tp)});
    if (shard.ep > 1) narrowed.cuts.push_back({"ep", 1.0, static_cast<double>(shard.ep)});

    const auto counted = model::count_parameters(narrowed.architecture);
    narrowed.training_memory = {kBytesPerParameter *
                                static_cast<double>(counted.total + counted.mtp_extra)};
    if (narrowed.training_memory > memory_limit) {
        return Error{
            ErrorCode::kBadInput,
            fmt::format(
                "one rank's layers need about {} to train here, and measuring may use {}: name a "
                "larger tp or ep with --tp, --ep, or measure on a larger machine",
                format_size(narrowed.training_memory), format_size(memory_limit)),
            situation.campaign.model_config};
    }
    return narrowed;
}

Bytes memory_for_measuring() {
    const auto pages = ::sysconf(_SC_PHYS_PAGES);
    const auto page_bytes = ::sysconf(_SC_PAGE_SIZE);
    return {0.5 * static_cast<double>(pages) * static_cast<double>(page_bytes)};
}

Json to_json(const std::vector<Cut>& cuts) {
    Json list = Json::array();
    for (const auto& cut : cuts)
        list.push_back({{"dimension", cut.dimension}, {"from", cut.from}, {"to", cut.to}});
    return list;
}

}  // namespace ascertain::app
