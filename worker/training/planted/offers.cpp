#include "worker/training/planted/offers.hpp"

#include <array>

namespace ascertain::training::planted {
namespace {

// Possible wherever anything happens.
constexpr std::array kAnywhere{"sleep", "raise", "hang", "crash"};
// On tensors of numbers.
constexpr std::array kNumeric{"scale", "scale_growing", "scale_drawn", "bias",     "overwrite",
                              "noise", "round",         "clamp",       "flip_bit", "nan_to_zero"};

struct Offer {
    std::string_view point;
    bool numeric = false;
    std::vector<std::string_view> own;
};

const std::vector<Offer>& offers() {
    static const std::vector<Offer> all{
        {"data",
         false,
         {"stale", "stale_first", "repeat_batch", "swap_sequence_and_batch", "permute_rows"}},
        {"parameters", true, {"stale", "stale_first", "permute_rows", "permute_heads"}},
        {"loss", true, {}},
        {"loss_scale", true, {}},
        {"gradients", true, {"stale", "stale_first", "permute_rows", "leave_out", "twice"}},
        {"grad_norm", true, {"leave_out"}},
        {"clip", true, {}},
        {"mtp", true, {}},
        {"learning_rate", true, {}},
        {"optimizer", false, {"skip", "twice", "leave_out", "flip_bit", "low_precision_state"}},
        {"router_bias", false, {"skip", "twice"}},
        {"evaluate", false, {}},
        {"checkpoint_save", true, {"stale", "drop_state"}},
        {"checkpoint_load", true, {"drop_state"}},
        {"rollout_weights", true, {"stale", "stale_first", "permute_rows", "permute_heads"}},
        {"rollout_logits", true, {}},
        {"rollout_log_probabilities", true, {}},
        {"kv_cache", false, {"stale_length"}},
        {"tokens_to_host", false, {"stale"}},
        {"advantages", true, {"permute_rows"}}};
    return all;
}

}  // namespace

std::vector<std::string> offered_points() {
    std::vector<std::string> names;
    for (const Offer& offer : offers()) names.emplace_back(offer.point);
    return names;
}

std::vector<std::string> offered_effects(std::string_view point) {
    std::vector<std::string> kinds;
    for (const Offer& offer : offers()) {
        if (offer.point != point) continue;
        kinds.assign(offer.own.begin(), offer.own.end());
        if (offer.numeric) kinds.insert(kinds.end(), kNumeric.begin(), kNumeric.end());
        kinds.insert(kinds.end(), kAnywhere.begin(), kAnywhere.end());
    }
    return kinds;
}

}  // namespace ascertain::training::planted
