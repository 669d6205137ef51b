// Every plan that a search may try, with the costs that many of them share. Internal to search.cpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "predict/cost/search.hpp"

namespace ascertain::cost {

using model::Architecture;
using parallel::Plan;
using parallel::Recompute;
using parallel::ScheduleKind;
using parallel::Sharding;

inline constexpr std::int64_t kTokensPerCpRankMin =
    1024;  // shorter pieces are never worth the exchange
inline constexpr std::int64_t kVppMax = 12;
inline constexpr std::int64_t kEtpMax = 8;

inline std::vector<std::int64_t> divisors_up_to(std::int64_t whole, std::int64_t limit) {
    std::vector<std::int64_t> list;
    for (std::int64_t d = 1; d <= std::min(whole, limit); ++d)
        if (whole % d == 0) list.push_back(d);
    return list;
}

inline std::vector<std::int64_t> chosen_or(const std::vector<std::int64_t>& chosen,
                                           std::vector<std::int64_t> otherwise) {
    return chosen.empty() ? std::move(otherwise) : chosen;
}

// The layer costs that many plans share.
struct SharedCosts {
    ShardWork work;
    BlockTable blocks;
};

struct Candidate {
    Plan plan;
    const SharedCosts* costs = nullptr;
    double bound_s = 0.0;
};

class Searcher {
public:
    Searcher(const Architecture& architecture, const catalog::Fleet& fleet, const TrainingJob& job,
             const Machine& whole, const Machine& sharded, const SearchOptions& options)
        : a_(architecture),
          fleet_(fleet),
          job_(job),
          whole_(whole),
          sharded_(sharded),
          options_(options) {}

    // Calls visit(plan, costs) for every valid plan on `devices`.
    template <typename Visit>
    Result<void> enumerate(std::int64_t devices, Visit visit) {
        const std::int64_t domain = static_cast<std::int64_t>(whole_.domain);
        const auto tps =
            chosen_or(options_.tp, divisors_up_to(devices, std::min<std::int64_t>(domain, 64)));
        for (const std::int64_t tp : tps) {
            if (devices % tp != 0 || a_.attention.heads % tp != 0) continue;
            const Architecture& padded = padded_architecture(tp);
            const std::int64_t cp_max =
                std::max<std::int64_t>(1, job_.sequence_length / kTokensPerCpRankMin / 8);
            for (const std::int64_t cp :
                 chosen_or(options_.cp, divisors_up_to(devices / tp, cp_max))) {
                if ((devices / tp) % cp != 0) continue;
                const auto pps =
                    chosen_or(options_.pp, divisors_up_to(devices / tp / cp, layer_count(a_)));
                for (const std::int64_t pp : pps) {
                    if ((devices / tp / cp) % pp != 0) continue;
                    Plan plan;
                    plan.tp = tp;
                    plan.cp = cp;
                    plan.pp = pp;
                    plan.dp = devices / tp / cp / pp;
                    plan.sequence_parallel = tp > 1;
                    plan.overlap_tp = tp > 1;
                    if (const auto done = over_experts(padded, plan, devices, visit); !done)
                        return done;
                }
            }
        }
        return {};
    }

    const Architecture& padded_architecture(std::int64_t tp) {
        const auto found = padded_.find(tp);
        if (found != padded_.end()) return found->second;
        return padded_.emplace(tp, padded_for(a_, tp)).first->second;
    }

    Result<StepSeconds> price(const Candidate& candidate, Precision precision) {
        return step_seconds(padded_architecture(candidate.plan.tp), job_, candidate.plan,
                            machine_for(candidate.plan), candidate.costs->work,
                            candidate.costs->blocks, precision, space_);
    }

    double memory_bytes(const Plan& plan, const ShardWork& work) {
        parallel::lay_out_stages(a_, plan, space_.stages);
        return parallel::peak_memory(work.facts, plan, job_.batch(), space_.stages, memory_)
            .total()
            .count;
    }

    [[nodiscard]] std::int64_t layers_per_device(const Plan& plan) const {
        return (layer_count(a_) + plan.pp - 1) / plan.pp;
    }

private:
    [[nodiscard]] const Machine& machine_for(const Plan& plan) const {
        return parallel::shards_weights(plan) ? sharded_ : whole_;
    }

    template <typename Visit>
    Result<void> over_experts(const Architecture& padded, Plan plan, std::int64_t devices,
                              Visit visit) {
        const bool experts = a_.moe.experts > 0;
        const auto eps = experts ? chosen_or(options_.ep, divisors_up_to(a_.moe.experts, devices))
                                 : std::vector<std::int64_t>{1};
        for (const std::int64_t ep : eps) {
            plan.ep = ep;
            for (const std::int64_t etp :
                 experts ? chosen_or(options_.etp, expert_splits(ep)) : std::vector{plan.etp}) {
                plan.etp = etp;
                for (const std::int64_t micro_batch :
                     chosen_or(options_.micro_batch, {1, 2, 4, 8})) {
                    plan.micro_batch = micro_batch;
                    if (job_.global_batch_sequences % (micro_batch * plan.dp) != 0) continue;
                    if (const auto done = over_schedules(padded, plan, devices, visit); !done)
                        return done;
                }
            }
        }
        return {};
    }

    template <typename Visit>
    Result<void> over_schedules(const Architecture& padded, Plan plan, std::int64_t devices,
                                Visit visit) {
        const auto visit_variants = [&](ScheduleKind schedule, std::int64_t vpp) -> Result<void> {
            plan.schedule = schedule;
            plan.vpp = vpp;
            plan.overlap_ep = plan.ep > 1 && (schedule == ScheduleKind::kDualPipe ||
                                              schedule == ScheduleKind::kDualPipeV);
            plan.sharding = Sharding::kZero1;
            plan.sharding_group = 0;
            plan.recompute = Recompute::kNone;
            plan.recompute_layers = 0;
            plan.offload_layers = 0;
            plan.pipeline_layers = options_.pipeline_layers;
            if (!parallel::plan_is_valid(padded, plan, devices, job_.batch())) return {};
            for (const Sharding sharding : shardings(plan)) {
                plan.sharding = sharding;
                plan.sharding_group = sharding == Sharding::kHsdp ? ranks_in_domain(plan) : 0;
                const Result<const SharedCosts*> shared = shared_costs(padded, plan);
                if (!shared) return shared.error();
                if (*shared == nullptr) return {};
                plan.offload_layers = std::min(options_.offload_layers, layers_per_device(plan));
                for (const Recompute recompute : recomputes()) {
                    plan.recompute = recompute;
                    plan.recompute_layers = 0;
                    if (recompute != Recompute::kBlocks) {
                        visit(plan, **shared);
                        continue;
                    }
                    for (const std::int64_t layers : block_counts(plan, **shared)) {
                        plan.recompute_layers = layers;
                        visit(plan, **shared);
                    }
                }
            }
            return {};
        };
        if (plan.pp == 1) return visit_variants(ScheduleKind::kNone, 1);
        // GPipe takes as long as 1F1B and keeps more: only for those who ask for it.
        if (!options_.schedules.empty() && allowed(ScheduleKind::kGPipe))
            if (const auto done = visit_variants(ScheduleKind::kGPipe, 1); !done) return done;
        static constexpr std::array kPlain{ScheduleKind::k1F1B, ScheduleKind::kZbH1,
                                           ScheduleKind::kZbV, ScheduleKind::kDualPipe,
                                           ScheduleKind::kDualPipeV};
        for (const ScheduleKind schedule : kPlain) {
            if (!allowed(schedule)) continue;
            if (const auto done = visit_variants(schedule, 1); !done) return done;
        }
        if (!allowed(ScheduleKind::kInterleaved)) return {};
        const std::int64_t most = std::min(kVppMax, layer_count(a_) / plan.pp);
        if (!options_.vpp.empty()) {
            for (const std::int64_t vpp : options_.vpp)
                if (vpp > 1 && vpp <= most)
                    if (const auto done = visit_variants(ScheduleKind::kInterleaved, vpp); !done)
                        return done;
            return {};
        }
        for (std::int64_t vpp = 2; vpp <= most; ++vpp)
            if (const auto done = visit_variants(ScheduleKind::kInterleaved, vpp); !done)
                return done;
        return {};
    }

    // An expert is split only inside a scale-up domain, and only where its group of ep x etp ranks
    // still fits into one: across domains, fewer experts a rank are always cheaper.
    [[nodiscard]] std::vector<std::int64_t> expert_splits(std::int64_t ep) const {
        const auto domain = static_cast<std::int64_t>(whole_.domain);
        return divisors_up_to(a_.moe.expert_intermediate_size,
                              std::clamp<std::int64_t>(domain / ep, 1, kEtpMax));
    }

    // How many layers of a device recompute: those asked for, else the fewest with which the plan
    // fits, if it does not fit without and some number helps. Fewer never need less memory.
    std::vector<std::int64_t> block_counts(Plan plan, const SharedCosts& costs) {
        if (!options_.recompute_layers.empty()) return options_.recompute_layers;
        const auto fits = [&](std::int64_t layers) {
            plan.recompute_layers = layers;
            return memory_bytes(plan, costs.work) <= usable_bytes_;
        };
        std::int64_t few = 0;
        std::int64_t enough = layers_per_device(plan);
        plan.recompute = Recompute::kNone;
        if (fits(0)) return {};
        plan.recompute = Recompute::kBlocks;
        if (!fits(enough)) return {};
        while (enough - few > 1) {
            const std::int64_t middle = (few + enough) / 2;
            (fits(middle) ? enough : few) = middle;
        }
        return {enough};
    }

    // HSDP shards as far as the scale-up domain reaches and repeats beyond it.
    [[nodiscard]] std::int64_t ranks_in_domain(const Plan& plan) const {
        const std::int64_t ranks = plan.dp * plan.cp;
        const auto reach = static_cast<std::int64_t>(whole_.domain) / plan.tp;
        return divisors_up_to(ranks, std::max<std::int64_t>(1, reach)).back();
    }
    [[nodiscard]] bool allowed(ScheduleKind schedule) const {
        const auto& list = options_.schedules;
        return list.empty() || std::find(list.begin(), list.end(), schedule) != list.end();
    }
    [[nodiscard]] std::vector<Sharding> shardings(const Plan& plan) const {
        if (!options_.shardings.empty()) return options_.shardings;
        if (plan.dp * plan.cp == 1) return {Sharding::kNone};
        if (plan.pp > 1) return {Sharding::kZero1};
        return {Sharding::kZero1, Sharding::kZero3};
    }
    [[nodiscard]] const std::vector<Recompute>& recomputes() const {
        static const std::vector<Recompute> kAll{Recompute::kNone, Recompute::kSelective,
                                                 Recompute::kBlocks, Recompute::kFull};
        static const std::vector<Recompute> kFused{Recompute::kNone, Recompute::kBlocks,
                                                   Recompute::kFull};
        if (!options_.recomputes.empty()) return options_.recomputes;
        return kFused;  // with fused attention there is no score matrix to recompute
    }

    // Null when the model room refuses the shard: that plan does not exist.
    Result<const SharedCosts*> shared_costs(const Architecture& padded, const Plan& plan) {
        const auto key = std::tuple{plan.tp,
                                    plan.cp,
                                    plan.ep,
                                    plan.etp,
                                    plan.micro_batch,
                                    plan.overlap_ep,
                                    parallel::shards_weights(plan)};
        const auto found = shared_.find(key);
        if (found != shared_.end()) return found->second.get();
        Result<ShardWork> work = shard_work(padded, plan, job_);
        std::unique_ptr<SharedCosts> costs;
        if (work) {
            costs = std::make_unique<SharedCosts>();
            costs->work = std::move(work).value();
            costs->blocks = block_seconds(costs->work, plan, job_, machine_for(plan));
        } else if (work.error().code == ErrorCode::kInternal) {
            return work.error();
        }
        return shared_.emplace(key, std::move(costs)).first->second.get();
    }

    const Architecture& a_;
    const catalog::Fleet& fleet_;
    const TrainingJob& job_;
    const Machine& whole_;    // priced with the constants of engines that keep weights whole
    const Machine& sharded_;  // and of those that gather them
    const SearchOptions& options_;
    parallel::MemoryConstants memory_ = memory_constants(job_);
    double usable_bytes_ = whole_.memory_bytes * options_.memory_share;
    Workspace space_;
    std::map<std::int64_t, Architecture> padded_;
    std::map<std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, bool,
                        bool>,
             std::unique_ptr<SharedCosts>>
        shared_;
};

}  // namespace ascertain::cost
