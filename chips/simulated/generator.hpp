// Random numbers of a simulated device: a generator of its own for each, which draws what the CPU's
// generator with the same seed draws.
#pragma once

#include <ATen/core/Generator.h>

#include "chips/simulated/device.hpp"

namespace ascertain::simulated {

[[nodiscard]] at::Generator make_generator(c10::DeviceIndex device);
[[nodiscard]] const at::Generator& default_generator(c10::DeviceIndex device);

// The generator of the CPU that stands behind one of a simulated device: CPU kernels draw from it.
[[nodiscard]] at::Generator host_generator(const at::Generator& device_generator);

}  // namespace ascertain::simulated
