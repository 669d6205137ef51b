#include "app/device_hosts.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "measure/device/endpoint.hpp"

namespace ascertain::app {
namespace {

// One row per type of device. Without a Python package the executable host serves it, loading
// `library` first; with one, the Python host imports the package, as training itself would.
struct DeviceHost {
    std::string_view type;
    std::string_view device_file;  // printf-like: the index follows
    std::string_view library;
    std::string_view python_package;
};

constexpr std::array kHosts{
    DeviceHost{"cpu", "", "", ""},
    DeviceHost{"cuda", "/dev/nvidia", "libtorch_cuda.so", ""},
    DeviceHost{"npu", "/dev/davinci", "", "torch_npu"},
    DeviceHost{"xpu", "", "libtorch_xpu.so", ""},
    DeviceHost{"simulated", "", "libascertain_simulated.so", ""},
};

constexpr int kDevicesMax = 64;  // on one machine

bool exists(const std::string& path) {
    struct stat ignored {};
    return ::stat(path.c_str(), &ignored) == 0;
}

std::string environment_or(const char* name, std::string otherwise) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0' ? value : std::move(otherwise);
}

// A server is asked by a program that speaks the worker protocol in its place.
device::LaunchSpec endpoint_spec(const Home& home, const std::string& address,
                                 const std::string& directory) {
    device::LaunchSpec spec;
    spec.device = address;
    spec.executable = environment_or(
        "ASCERTAIN_ENDPOINT",
        (std::filesystem::path(home.worker).parent_path() / "ascertain-endpoint").string());
    if (!directory.empty()) spec.stderr_path = directory + "/endpoint.log";
    return spec;
}

}  // namespace

std::vector<std::string> accelerators_here() {
    std::vector<std::string> found;
    for (const auto& host : kHosts) {
        if (host.device_file.empty()) continue;
        for (int index = 0; index < kDevicesMax; ++index) {
            if (exists(fmt::format("{}{}", host.device_file, index))) {
                found.push_back(fmt::format("{}:{}", host.type, index));
            }
        }
    }
    return found;
}

Result<std::vector<std::string>> chosen_devices(const std::vector<std::string>& asked) {
    std::vector<std::string> chosen;
    const auto add = [&](const std::string& name) {
        if (std::ranges::find(chosen, name) == chosen.end()) chosen.push_back(name);
    };
    for (const auto& word : asked) {
        if (word == "auto") {
            const auto here = accelerators_here();
            for (const auto& name : here) add(name);
            if (here.empty()) add("cpu");
            continue;
        }
        if (device::is_endpoint(word)) {
            const auto address = device::parse_endpoint(word);
            if (!address) return address.error();
            add(*address);
            continue;
        }
        const auto name = device::parse_name(word);
        if (!name) return name.error();
        add(device::to_text(*name));
    }
    return chosen;
}

Result<device::LaunchSpec> launch_spec(const Home& home, const std::string& name,
                                       const std::string& directory, int threads,
                                       const std::string& module) {
    if (device::is_endpoint(name)) return endpoint_spec(home, name, directory);
    const auto parsed = device::parse_name(name);
    if (!parsed) return parsed.error();
    const auto host = std::ranges::find(kHosts, parsed->type, &DeviceHost::type);
    if (host == kHosts.end()) {
        return Error{ErrorCode::kDeviceUnavailable, "no worker serves this type of device", name};
    }
    device::LaunchSpec spec;
    spec.device = name;
    spec.threads = threads;
    spec.executable = environment_or("ASCERTAIN_WORKER", home.worker);
    if (!host->python_package.empty() || !module.empty()) {
        spec.executable = environment_or("ASCERTAIN_PYTHON", "python3");
        spec.arguments = {home.root + "/worker/host/host.py"};
    }
    const auto add = [&](const char* flag, std::string_view value) {
        if (value.empty()) return;
        spec.arguments.emplace_back(flag);
        spec.arguments.emplace_back(value);
    };
    add("--import", host->python_package);
    add("--module", module);
    // Python's torch comes with the libraries of its own devices.
    const bool torchs_own = !module.empty() && host->library.starts_with("libtorch_");
    if (!torchs_own) add("--library", host->library);
    std::string file = name;
    std::ranges::replace(file, ':', '-');
    if (!directory.empty()) spec.stderr_path = fmt::format("{}/{}.log", directory, file);
    return spec;
}

}  // namespace ascertain::app
