// Random numbers of a simulated device: the CPU's generator under a device's name, so that a seed
// gives the CPU's numbers.
#pragma once

#include <ATen/CPUGeneratorImpl.h>

#include "chips/simulated/device.hpp"

namespace ascertain::simulated {

[[nodiscard]] at::Generator make_generator(c10::DeviceIndex device);
[[nodiscard]] const at::Generator& default_generator(c10::DeviceIndex device);

}  // namespace ascertain::simulated
