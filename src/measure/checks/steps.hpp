// The step functions that all.cpp lists; each lives in the file that has its name.
#pragma once

#include "measure/checks/check.hpp"

namespace ascertain::checks {

Step device_identity(const Context& context, const Json& state, std::span<const Answer> answers);
Step handoff_endpoint(const Context& context, const Json& state, std::span<const Answer> answers);
Step handoff_fp32(const Context& context, const Json& state, std::span<const Answer> answers);
Step handoff_precision(const Context& context, const Json& state, std::span<const Answer> answers);
Step handoff_rollout(const Context& context, const Json& state, std::span<const Answer> answers);
Step handoff_rollout_fp32(const Context& context, const Json& state,
                          std::span<const Answer> answers);
Step links_data(const Context& context, const Json& state, std::span<const Answer> answers);
Step links_pairs(const Context& context, const Json& state, std::span<const Answer> answers);
Step links_speed(const Context& context, const Json& state, std::span<const Answer> answers);
Step module_compiled(const Context& context, const Json& state, std::span<const Answer> answers);
Step module_eager(const Context& context, const Json& state, std::span<const Answer> answers);
Step module_graphed(const Context& context, const Json& state, std::span<const Answer> answers);
Step ops_coverage(const Context& context, const Json& state, std::span<const Answer> answers);
Step ops_numerics(const Context& context, const Json& state, std::span<const Answer> answers);
Step ops_repeat(const Context& context, const Json& state, std::span<const Answer> answers);
Step soak_model(const Context& context, const Json& state, std::span<const Answer> answers);
Step speed_calibration(const Context& context, const Json& state, std::span<const Answer> answers);
Step speed_gemm(const Context& context, const Json& state, std::span<const Answer> answers);
Step trial_forced_fp32(const Context& context, const Json& state, std::span<const Answer> answers);
Step trial_forced(const Context& context, const Json& state, std::span<const Answer> answers);
Step trial_free_run(const Context& context, const Json& state, std::span<const Answer> answers);
Step trial_equivalence(const Context& context, const Json& state, std::span<const Answer> answers);
Step trial_parallel(const Context& context, const Json& state, std::span<const Answer> answers);
Step trial_resume(const Context& context, const Json& state, std::span<const Answer> answers);

}  // namespace ascertain::checks
