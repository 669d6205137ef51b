#include "worker/training/stages.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "worker/training/metric.hpp"
#include "worker/training/post_training.hpp"

namespace ascertain::training {
namespace {

Metric share_of(std::string name, const Accuracy& accuracy) {
    return {.metric = std::move(name),
            .value = accuracy.share,
            .unit = "ratio",
            .n = accuracy.problems,
            .low = accuracy.low,
            .high = accuracy.high,
            .reason = ""};
}

Json to_json(const Accuracy& accuracy) {
    return {{"right", accuracy.right},
            {"problems", accuracy.problems},
            {"share", accuracy.share},
            {"low", accuracy.low},
            {"high", accuracy.high}};
}

Json list_of(const std::vector<double>& values) {
    Json list = Json::array();
    for (const double value : values) list.push_back(finite_or_null(value));
    return list;
}

double largest(const std::vector<double>& values) {
    double most = 0.0;
    for (const double value : values) {
        if (!(value <= most)) most = value;  // a value that is no number counts as the largest
    }
    return most;
}

}  // namespace

StagesReport run_stages(Model& model, const Recipe& recipe, std::uint64_t seed,
                        const std::function<void(const std::string&)>& progress) {
    StagesReport report{{}, Json::array()};
    if (recipe.sft.steps == 0 && recipe.grpo.updates == 0) return report;
    const auto measured = [&](bool greedy) {
        return measure_accuracy(model, recipe.accuracy_problems, greedy, seed);
    };
    Accuracy latest = measured(false);
    report.observation.push_back(share_of("accuracy_before_sft", latest));
    if (recipe.sft.steps > 0) {
        const SftReport sft = fine_tune(model, recipe, seed, [&](std::int64_t step) {
            progress(fmt::format("fine-tuning, step {} of {}", step + 1, recipe.sft.steps));
        });
        latest = measured(false);
        report.observation.push_back(share_of("accuracy_sft", latest));
        report.observation.push_back(metric_of("sft_loss", sft.losses.back(), "nat", 1));
        report.stages.push_back({{"kind", "sft"},
                                 {"losses", list_of(sft.losses)},
                                 {"accuracy", to_json(latest)},
                                 {"accuracy_greedy", to_json(measured(true))}});
    }
    if (recipe.grpo.updates > 0) {
        const Accuracy earlier = latest;
        const GrpoReport grpo = reinforce(model, recipe, seed, [&](std::int64_t update) {
            progress(fmt::format("reinforcing, update {} of {}", update + 1, recipe.grpo.updates));
        });
        latest = measured(false);
        report.observation.push_back(share_of("accuracy_grpo", latest));
        const Gain gained = gain(earlier, latest);
        Metric metric = metric_of("accuracy_gain", gained.share, "ratio",
                                  static_cast<std::size_t>(latest.problems));
        metric.low = gained.low;
        metric.high = gained.high;
        report.observation.push_back(metric);
        report.observation.push_back(metric_of("rollout_mismatch_max", largest(grpo.mismatches),
                                               "nat", grpo.mismatches.size()));
        report.observation.push_back(
            metric_of("divergence_final", grpo.divergences.back(), "nat", 1));
        report.stages.push_back({{"kind", "grpo"},
                                 {"rewards", list_of(grpo.rewards)},
                                 {"grad_norms", list_of(grpo.grad_norms)},
                                 {"divergences", list_of(grpo.divergences)},
                                 {"mismatches", list_of(grpo.mismatches)},
                                 {"accuracy", to_json(latest)},
                                 {"accuracy_greedy", to_json(measured(true))}});
    }
    return report;
}

}  // namespace ascertain::training
