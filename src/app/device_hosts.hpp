// Which worker serves which device, and which devices this machine seems to have.
#pragma once

#include <string>
#include <vector>

#include "app/home.hpp"
#include "base/result.hpp"
#include "measure/device/launch.hpp"
#include "measure/device/name.hpp"

namespace ascertain::app {

// Names of the accelerators whose device files are here ("cuda:0", "npu:3"), sorted. Only a worker
// can say whether they work.
[[nodiscard]] std::vector<std::string> accelerators_here();

// The devices a run is about: names as they are, "auto" as every accelerator here, or the CPU when
// there is none. Errors: kUsage for a name that is none; duplicates are dropped.
[[nodiscard]] Result<std::vector<std::string>> chosen_devices(
    const std::vector<std::string>& asked);

// How the worker of a device is started. `directory` receives its standard error. With `module`
// (FILE.py:FUNCTION) the Python host serves every device, and loads that file. Errors:
// kDeviceUnavailable when there is no host for this type of device.
[[nodiscard]] Result<device::LaunchSpec> launch_spec(const Home& home, const std::string& name,
                                                     const std::string& directory, int threads,
                                                     const std::string& module = "");

}  // namespace ascertain::app
