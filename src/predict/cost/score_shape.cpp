// Shape instead of level: growth with the fleet, and choice among plans. docs/formulas.md#score
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include "predict/cost/score.hpp"

namespace ascertain::cost {
namespace {

constexpr std::size_t kFleetSizesMin = 3;  // fewer are no curve
constexpr std::size_t kPlansMin = 3;       // fewer are no choice

bool same_but_for_replicas(const PublishedRun& small, const PublishedRun& large) {
    return small.plan.tp == large.plan.tp && small.plan.pp == large.plan.pp &&
           small.plan.micro_batch == large.plan.micro_batch &&
           small.job.sequence_length == large.job.sequence_length &&
           small.job.global_batch_sequences * large.fleet.count ==
               large.job.global_batch_sequences * small.fleet.count;
}

// What a plan is chosen for: everything that is given, nothing that is decided.
auto job_key(const PublishedRun& run) {
    const model::Architecture& a = run.architecture;
    return std::tuple{run.series,
                      run.chip,
                      run.fleet.count,
                      model::layer_count(a),
                      a.hidden_size,
                      a.moe.experts,
                      run.job.sequence_length,
                      run.job.global_batch_sequences,
                      static_cast<int>(run.job.linear),
                      static_cast<int>(run.job.dtype)};
}

}  // namespace

std::vector<ScoreSlope> slopes_of(const std::vector<PublishedRun>& runs,
                                  const std::vector<ScoreRow>& rows) {
    struct Ends {
        std::size_t first;
        std::size_t last;
        std::set<std::int64_t> sizes;
    };
    std::map<std::string, Ends> series;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (!rows[i].error_ratio || runs[i].experts) continue;
        const auto [place, fresh] = series.try_emplace(runs[i].series, Ends{i, i, {}});
        Ends& ends = place->second;
        ends.sizes.insert(runs[i].fleet.count);
        if (runs[i].fleet.count < runs[ends.first].fleet.count) ends.first = i;
        if (runs[i].fleet.count > runs[ends.last].fleet.count) ends.last = i;
    }
    std::vector<ScoreSlope> list;
    for (const auto& [name, ends] : series) {
        if (name.empty() || ends.sizes.size() < kFleetSizesMin) continue;
        if (!same_but_for_replicas(runs[ends.first], runs[ends.last])) continue;
        list.push_back({name, runs[ends.first].chip, runs[ends.first].fleet.count,
                        runs[ends.last].fleet.count,
                        *rows[ends.last].measured_step_s / *rows[ends.first].measured_step_s,
                        *rows[ends.last].predicted_step_s / *rows[ends.first].predicted_step_s});
    }
    return list;
}

std::vector<ScoreRanking> rankings_of(const std::vector<PublishedRun>& runs,
                                      const std::vector<ScoreRow>& rows) {
    std::map<decltype(job_key(runs.front())), std::vector<const ScoreRow*>> groups;
    std::map<decltype(job_key(runs.front())), std::vector<const parallel::Plan*>> plans;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (!rows[i].error_ratio) continue;
        const auto key = job_key(runs[i]);
        auto& seen = plans[key];
        // The same plan twice is a repetition, not a choice.
        if (std::any_of(seen.begin(), seen.end(),
                        [&](const parallel::Plan* plan) { return *plan == runs[i].plan; }))
            continue;
        seen.push_back(&runs[i].plan);
        groups[key].push_back(&rows[i]);
    }
    std::vector<ScoreRanking> list;
    for (auto& [key, members] : groups) {
        if (members.size() < kPlansMin) continue;
        ScoreRanking ranking;
        ranking.series = members.front()->series;
        ranking.model = members.front()->id;
        ranking.plans = static_cast<std::int64_t>(members.size());
        std::sort(members.begin(), members.end(), [](const ScoreRow* a, const ScoreRow* b) {
            return *a->predicted_step_s < *b->predicted_step_s;
        });
        const auto faster = [](const ScoreRow* a, const ScoreRow* b) {
            return *a->measured_step_s < *b->measured_step_s;
        };
        const double best =
            *(*std::min_element(members.begin(), members.end(), faster))->measured_step_s;
        const double top3 =
            *(*std::min_element(members.begin(), members.begin() + 3, faster))->measured_step_s;
        ranking.regret = *members.front()->measured_step_s / best - 1.0;
        ranking.regret_top3 = top3 / best - 1.0;
        list.push_back(std::move(ranking));
    }
    return list;
}

Result<std::vector<PeerScore>> read_peers(const Json& document, std::string_view name) {
    if (!document.is_array())
        return Error{ErrorCode::kBadInput, "must be a list of peers", std::string(name)};
    std::vector<PeerScore> peers;
    for (std::size_t i = 0; i < document.size(); ++i) {
        const Json& entry = document[i];
        const std::string place = fmt::format("{}: entry {}", name, i);
        if (!entry.is_object()) return Error{ErrorCode::kBadInput, "must be an object", place};
        PeerScore peer;
        const auto text = [&](const char* key, std::string& into) -> Result<void> {
            const auto value = text_at(entry, key, place);
            if (!value) return value.error();
            into = *value;
            return {};
        };
        if (const auto r = text("name", peer.name); !r) return r.error();
        if (const auto r = text("series", peer.series); !r) return r.error();
        if (const auto r = text("setting", peer.setting); !r) return r.error();
        if (const auto r = text("source", peer.source); !r) return r.error();
        const auto count = integer_at(entry, "count", place);
        if (!count) return count.error();
        peer.count = *count;
        const auto mape = number_at(entry, "mape", place);
        if (!mape) return mape.error();
        peer.mape = *mape;
        if (const auto bias = entry.find("bias"); bias != entry.end() && bias->is_number())
            peer.bias = bias->get<double>();
        peers.push_back(std::move(peer));
    }
    return peers;
}

}  // namespace ascertain::cost
