// The armed rules of this process that wait for operators. Nothing is armed unless the environment
// names a file: ASCERTAIN_DEFECTS for every device, ASCERTAIN_DEFECTS_<n> for device n instead.
// Devices share no state, whatever files they have.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

#include <functional>
#include <string>
#include <vector>

namespace ascertain::simulated::defects {

// Once, before anything runs. Returns what is wrong with the file, with its place, or "".
[[nodiscard]] std::string arm_from_environment(const std::vector<std::string>& operators);

[[nodiscard]] bool armed() noexcept;

// The operator has lost its kernel and runs by the fallback.
[[nodiscard]] bool falls_back(const c10::OperatorHandle& op);

// The host waits for the device, or reads from it: what was late is there now.
void synchronised(c10::DeviceIndex device);

// Calls `run`, which does the operator on the CPU tensors on `stack`, with what the armed rules do
// before and after it. `device`: the index of the device whose call it is; -1: none says. Throws
// what `run` throws and what a rule raises.
void run_with_defects(const c10::OperatorHandle& op, torch::jit::Stack& stack, std::int64_t device,
                      const std::function<void()>& run);

}  // namespace ascertain::simulated::defects
