#include "app/trial_save.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "app/device_hosts.hpp"
#include "app/exit_codes.hpp"
#include "app/interrupt.hpp"
#include "app/situation.hpp"
#include "base/observation.hpp"
#include "measure/device/pool.hpp"
#include "model/trial.hpp"

namespace ascertain::app {
namespace {

namespace fs = std::filesystem;

constexpr double kDeadline_s = 7200.0;
// docs/formulas.md#trial-sizes: where the model has learnt its task, is tuned and reinforced.
constexpr std::int64_t kStepsQuick = 300;
constexpr std::int64_t kSteps = 1000;
constexpr std::int64_t kSftSteps = 60;
constexpr std::int64_t kGrpoUpdates = 40;

bool holds_something(const std::string& folder) {
    std::error_code failure;
    return fs::exists(folder, failure) && !fs::is_empty(folder, failure);
}

Json recipe_of(const Campaign& campaign) {
    const auto has = [&](StageKind kind) {
        return std::ranges::any_of(campaign.stages,
                                   [&](const Stage& stage) { return stage.kind == kind; });
    };
    Json recipe = Json::object();
    if (has(StageKind::kSft)) recipe["sft_steps"] = kSftSteps;
    if (has(StageKind::kGrpo)) recipe["grpo_updates"] = kGrpoUpdates;
    return recipe;
}

// What was reached, for people: "held-out loss 0.92 nat, accuracy 0.91".
std::string reached(const Json& result) {
    const auto observation = observation_from_json(result.value("observation", Json()), "train");
    if (!observation) return "";
    std::string text;
    for (const auto& [name, words] :
         {std::pair{"held_out_loss", ", held-out loss {:.3f} nat"},
          std::pair{"accuracy_sft", ", right {:.0f} % of the time when tuned"},
          std::pair{"accuracy_grpo", ", {:.0f} % when reinforced"}}) {
        const Metric* metric = find_metric(*observation, name);
        if (metric == nullptr || !metric->value) continue;
        const bool share = metric->unit == "ratio";
        text += fmt::format(fmt::runtime(words), *metric->value * (share ? 100.0 : 1.0));
    }
    return text;
}

}  // namespace

int save_trial(Terminal& terminal, const Home& home, const QualifyOptions& options,
               const std::string& folder) {
    if (holds_something(folder)) {
        return terminal.complain(
            {ErrorCode::kBadInput, "--save: holds something already; name a new folder", folder});
    }
    const auto situation = read_situation(home, options.inputs);
    if (!situation) return terminal.complain(situation.error());
    const auto small = model::trial_scale(situation->architecture, model::TrialSize{});
    if (!small) return terminal.complain(small.error());
    const auto devices =
        chosen_devices(options.devices.empty() ? situation->campaign.devices : options.devices);
    if (!devices) return terminal.complain(devices.error());
    const std::string& device = devices->front();
    const int threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    const auto spec = launch_spec(home, device, "", threads);
    if (!spec) return terminal.complain(spec.error());

    const bool quick = options.profile == checks::Profile::kQuick;
    // A CPU has no fast 16-bit arithmetic.
    const std::string& precision = situation->campaign.precision;
    const Json params{{"architecture", model::to_json(*small)},
                      {"recipe", recipe_of(situation->campaign)},
                      {"steps", quick ? kStepsQuick : kSteps},
                      {"dtype", device == "cpu"      ? "fp32"
                                : precision == "fp8" ? "bf16"
                                                     : precision},
                      {"seed", options.seed},
                      {"where", "device"},
                      {"held_out_batches", 8},
                      {"save", fs::absolute(folder).string()}};
    const device::SteadyClock clock;
    device::Pool pool(clock, {*spec}, {});
    terminal.status(fmt::format("training the trial's model on {} …", device));
    const auto reply = device::call(pool, 0, {"train", params, {kDeadline_s}},
                                    [] { return interrupted().load(); });
    terminal.status("");
    if (!reply) return terminal.complain(reply.error());
    if (reply->ending != device::Ending::kResult) {
        return terminal.complain({ErrorCode::kDeviceUnavailable, reply->message, device});
    }
    terminal.print(fmt::format("trained on {}{}", device, reached(reply->result)));
    terminal.print(fmt::format("written to {}; next: ascertain handoff --from {} --to DEVICE|URL",
                               folder, folder));
    return kExitDone;
}

}  // namespace ascertain::app
