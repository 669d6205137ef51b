#include "app/serving.hpp"

namespace ascertain::app {

qualification::ServeQuestion serve_trial_model(const model::Architecture& trial,
                                               const std::string& dtype, std::uint64_t seed) {
    constexpr double kSharpness = 4.0;  // docs/formulas.md#handoff
    qualification::ServeQuestion serve;
    serve.weights = {
        {"architecture", model::to_json(trial)}, {"seed", seed}, {"sharpness", kSharpness}};
    serve.length_max = trial.position.length_max;
    serve.dtype = dtype;
    return serve;
}

}  // namespace ascertain::app
