#include "model/rank_view.hpp"

#include <fmt/format.h>

#include <cmath>

namespace ascertain::model {
namespace {

// Rows beyond this are no micro-batch, and products with them could leave 64 bits.
constexpr std::int64_t kTokensMax = std::int64_t{1} << 30;
constexpr double kRowsMax = 9e15;

Error refuse(const Architecture& a, std::string_view field, std::string message) {
    return {ErrorCode::kBadInput, std::move(message), fmt::format("{}: {}", a.name, field)};
}

}  // namespace

Result<RankView> view_of_rank(const Architecture& a, const Shard& shard, const Batch& batch) {
    auto rank = shard_architecture(a, shard);
    if (!rank) return rank.error();
    const auto within = [](std::int64_t value) { return value >= 1 && value <= kTokensMax; };
    if (!within(batch.sequences)) {
        return refuse(a, "batch.sequences",
                      fmt::format("{} is outside 1 to 2^30", batch.sequences));
    }
    if (!within(batch.sequence_length)) {
        return refuse(a, "batch.sequence_length",
                      fmt::format("{} is outside 1 to 2^30", batch.sequence_length));
    }
    if (!within(batch.sequences * batch.sequence_length)) {
        return refuse(a, "batch.sequences", "more than 2^30 tokens in one micro-batch");
    }
    if (a.position.kind == PositionKind::kLearned &&
        batch.sequence_length > a.position.length_max) {
        return refuse(a, "batch.sequence_length",
                      fmt::format("{} tokens, and the learned positions end at {}",
                                  batch.sequence_length, a.position.length_max));
    }
    if (batch.sequence_length % shard.cp != 0) {
        return refuse(a, "batch.sequence_length",
                      fmt::format("{} does not divide by cp {}", batch.sequence_length, shard.cp));
    }
    RankView view;
    view.q_length = batch.sequence_length / shard.cp;
    view.tokens = batch.sequences * view.q_length;
    view.stream = view.tokens;
    if (shard.sequence_parallel) {
        if (view.q_length % shard.tp != 0) {
            return refuse(a, "batch.sequence_length",
                          fmt::format("{} tokens per rank do not divide by tp {} for sequence "
                                      "parallelism",
                                      view.q_length, shard.tp));
        }
        view.stream = view.tokens / shard.tp;
    }
    if (a.moe.experts > 0) {
        const bool replicated = shard.tp > 1 && !shard.sequence_parallel;
        if (replicated && shard.etp != shard.tp) {
            return refuse(a, "sequence_parallel",
                          fmt::format("without it all {} TP ranks hold the same tokens and would "
                                      "route them again; switch it on, or set etp to tp",
                                      shard.tp));
        }
        const double rows = static_cast<double>(view.stream) * static_cast<double>(a.moe.topk) *
                            static_cast<double>(shard.etp);
        if (rows > kRowsMax) return refuse(a, "moe.topk", "too many rows to count");
        view.dispatched = view.stream * a.moe.topk;
        // Balanced: the group receives what it sends, and every ETP rank sees its group's rows.
        view.expert_rows = replicated ? view.dispatched : view.dispatched * shard.etp;
    }
    view.model = *std::move(rank);
    return view;
}

}  // namespace ascertain::model
