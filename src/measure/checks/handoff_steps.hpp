// The steps of handoff_endpoint.cpp and handoff_rollout.cpp, for the table in all.cpp.
#pragma once

#include "measure/checks/check.hpp"

namespace ascertain::checks {

Step handoff_endpoint(const Context& context, const Json& state, std::span<const Answer> answers);
Step handoff_rollout_fp32(const Context& context, const Json& state,
                          std::span<const Answer> answers);
Step handoff_rollout(const Context& context, const Json& state, std::span<const Answer> answers);

}  // namespace ascertain::checks
