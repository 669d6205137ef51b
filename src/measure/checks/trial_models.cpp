#include "measure/checks/trial_models.hpp"

#include <cstdint>

namespace ascertain::checks {

Json without_experts(Json architecture) {
    constexpr std::int64_t kWidth = 256;  // of an MLP where the model has only experts
    std::int64_t layers = 0;
    for (const Json& run : architecture.value("layers", Json::array())) {
        layers += run.value("count", std::int64_t{0});
    }
    architecture["layers"] = Json::array({{{"kind", "dense"}, {"count", layers}}});
    Json& moe = architecture["moe"];
    for (const char* key : {"experts", "local_experts", "topk", "expert_intermediate_size",
                            "shared_experts", "shared_intermediate_size"}) {
        moe[key] = 0;
    }
    moe["groups"] = moe["topk_groups"] = 1;
    moe["router"] = "softmax";
    moe["normalise_topk"] = false;
    moe["scaling_factor"] = 1.0;
    moe["bias_balancing"] = false;
    moe["auxiliary_loss_coefficient"] = 0.0;
    architecture["mtp_layers"] = 0;
    Json& width = architecture["mlp"]["intermediate_size"];
    if (width == 0) width = kWidth;
    return architecture;
}

Json without_balance_loss(Json architecture) {
    architecture["moe"]["auxiliary_loss_coefficient"] = 0.0;
    return architecture;
}

bool has_experts(const Json& architecture) {
    return architecture.value("moe", Json::object()).value("experts", 0) > 0;
}

}  // namespace ascertain::checks
