// The simulated devices of this process: how many there are and which one a thread works on.
#pragma once

#include <c10/core/Device.h>

#include <string>

namespace ascertain::simulated {

inline constexpr c10::DeviceType kDeviceType = c10::DeviceType::PrivateUse1;
inline constexpr int kDevicesDefault = 2;
inline constexpr int kDevicesMax = 64;
inline constexpr const char* kDevicesVariable = "ASCERTAIN_SIMULATED_DEVICES";

[[nodiscard]] c10::DeviceIndex device_count() noexcept;
// From the environment; called once, while the plug-in loads. Returns what is wrong with the
// variable, or "".
[[nodiscard]] std::string read_device_count();

// Of the calling thread; 0 at first.
[[nodiscard]] c10::DeviceIndex current_device() noexcept;
void set_current_device(c10::DeviceIndex index) noexcept;
// Throws c10::Error unless there is such a device.
void check_index(c10::DeviceIndex index);

// Why this plug-in must not be used, such as a defect file that does not read well; "" when it may.
// Checked wherever memory is asked for, so that nothing runs.
[[nodiscard]] std::string& load_failure();

}  // namespace ascertain::simulated
