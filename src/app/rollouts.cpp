#include "app/rollouts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "app/served.hpp"

namespace ascertain::app {
namespace {

// Where nobody says at which length answers are cut off, it is 2 to 4 times their mean: the longest
// answer is off by a third.
constexpr double kLongestWidth = 0.29;

// Rollouts run in the precision of training, so that sampler and trainer agree.
serving::Engine engine_for(const Campaign& campaign, const catalog::Chip& chip) {
    serving::Engine engine;
    const bool eight_bits = campaign.precision == "fp8";
    if (eight_bits && chip.peak(catalog::Format::kFp8).known())
        engine.precision = serving::Precision::kFp8;
    return engine;
}

}  // namespace

goodput::Uncertain belief_of(const serving::Rollout& found, const Stage& stage) {
    const double inner = found.width;
    const double outer =
        stage.response_tokens_max > 0 ? found.width : std::hypot(found.width, kLongestWidth);
    const std::string how = fmt::format("answers as {}, {:.3g} at once in a group",
                                        serving::describe(found.layout), found.sequences);
    const auto updates = static_cast<double>(stage.updates_per_rollout);
    const double waiting = found.waiting_s / updates;
    const double carrying = found.carrying_s / updates;
    switch (stage.rollout) {
        case Rollout::kPartial:
            return {carrying * std::exp(-inner), carrying, carrying * std::exp(inner),
                    goodput::Kind::kPublished, how + ", unfinished ones carried on"};
        case Rollout::kSynchronous:
            return {waiting * std::exp(-outer), waiting, waiting * std::exp(outer),
                    goodput::Kind::kGuessed, how + ", every rollout waits for its longest"};
        case Rollout::kNotSaid: break;
    }
    const double low = std::min(waiting, carrying);
    return {low * std::exp(-inner), std::sqrt(waiting * carrying), waiting * std::exp(outer),
            goodput::Kind::kGuessed,
            how + "; whether rollouts wait for their longest answer is not said"};
}

Result<goodput::Uncertain> rollout_belief(const Home& home, const Situation& situation,
                                          const cost::CostBook& book, const Stage& stage,
                                          const catalog::Fleet& fleet) {
    const auto level = read_engine_level(home);
    if (!level) return level.error();
    serving::RolloutQuestion question;
    question.answers = static_cast<double>(stage.prompts_per_update) *
                       static_cast<double>(stage.samples_per_prompt) *
                       static_cast<double>(stage.updates_per_rollout);
    question.prompt_tokens = static_cast<double>(std::max<std::int64_t>(1, stage.prompt_tokens));
    question.lengths.mean_tokens = static_cast<double>(stage.response_tokens);
    if (stage.response_tokens_max > 0) {
        question.lengths.longest_ratio = static_cast<double>(stage.response_tokens_max) /
                                         static_cast<double>(stage.response_tokens);
    }
    question.chips = fleet.count;
    const auto found =
        serving::rollout(situation.architecture, fleet, engine_for(situation.campaign, fleet.chip),
                         question, *level, book);
    if (!found) return found.error();
    return belief_of(*found, stage);
}

}  // namespace ascertain::app
