// One operator call of a simulated device, done by the CPU's kernel on the same memory.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

#include <vector>

#include "chips/simulated/device.hpp"

namespace ascertain::simulated {

// A CPU tensor over the memory of a device tensor: same sizes, strides, offset and bits.
[[nodiscard]] at::Tensor host_alias(const at::Tensor& device_tensor);

enum class DeviceRule {
    kOneDevice,   // all tensors on one device; CPU tensors only without dimensions or as indices
    kAnyDevices,  // copies
};

// Runs the CPU kernel of `op` on the arguments on `stack` and leaves the results there, as the
// dispatcher's boxed convention says. Views stay views, written arguments are written in place, a
// storage that the kernel grew is grown on the device. Armed defects act here.
// Throws c10::Error on tensors of several devices and whatever the kernel throws.
void call_on_host(const c10::OperatorHandle& op, torch::jit::Stack& stack, DeviceRule rule);

}  // namespace ascertain::simulated
