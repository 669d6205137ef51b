// The armed defects of this process. Nothing is armed unless the environment names a file.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

#include <functional>
#include <string>
#include <vector>

namespace ascertain::simulated::defects {

inline constexpr const char* kFileVariable = "ASCERTAIN_DEFECTS";
// A file that gets one line per defect, "id matched fired", kept up to date at every call, so that
// it survives a crash; "%p" in its name becomes the process's number.
inline constexpr const char* kCountsVariable = "ASCERTAIN_DEFECTS_COUNTS";

// Once, before anything runs. Returns what is wrong with the file, with its place, or "".
[[nodiscard]] std::string arm_from_environment(const std::vector<std::string>& operators);

[[nodiscard]] bool armed() noexcept;

// The operator has lost its kernel and runs by the fallback.
[[nodiscard]] bool falls_back(const c10::OperatorHandle& op);

// Calls `run`, which does the operator on the CPU tensors on `stack`, with what the armed defects
// do before and after it. Throws what `run` throws and what a defect raises.
void run_with_defects(const c10::OperatorHandle& op, torch::jit::Stack& stack,
                      const std::function<void()>& run);

}  // namespace ascertain::simulated::defects
