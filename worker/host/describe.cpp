// describe: what this device is, for the header of every record.
#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <string>
#include <utility>

#include "worker/host/declared.hpp"
#include "worker/host/failure.hpp"
#include "worker/host/requests.hpp"
#include "worker/host/serve.hpp"

namespace ascertain::worker {
namespace {

// A field that could not be had is null, and `<field>_reason` says why.
void put(Json& result, const std::string& field, const Result<Json>& value) {
    result[field] = value ? *value : Json();
    if (!value) result[field + "_reason"] = value.error().message;
}

Result<Json> unknown(std::string reason) {
    return Error{ErrorCode::kUnsupported, std::move(reason), ""};
}

Result<Json> processor_name() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        const std::size_t colon = line.find(": ");
        if (line.starts_with("model name") && colon != std::string::npos) {
            return Json(line.substr(colon + 2));
        }
    }
    return unknown("/proc/cpuinfo names no model");
}

Result<Json> device_name(c10::Device device) {
    if (device.is_cpu()) return processor_name();
    return unknown("torch has no device-neutral call for the name");
}

Result<Json> memory_bytes(c10::Device device) {
    if (device.is_cpu()) {
        const long long pages = ::sysconf(_SC_PHYS_PAGES);
        return Json(pages * ::sysconf(_SC_PAGESIZE));
    }
    return guarded("", [&] { return Json(at::accelerator::getMemoryInfo(device.index()).second); });
}

// The dtypes of which a tensor can be made and brought back.
Json dtypes(c10::Device device) {
    constexpr std::array<std::pair<const char*, at::ScalarType>, 12> kAll = {{
        {"fp32", at::kFloat},
        {"bf16", at::kBFloat16},
        {"fp16", at::kHalf},
        {"fp64", at::kDouble},
        {"fp8_e4m3", at::kFloat8_e4m3fn},
        {"fp8_e5m2", at::kFloat8_e5m2},
        {"int64", at::kLong},
        {"int32", at::kInt},
        {"int16", at::kShort},
        {"int8", at::kChar},
        {"uint8", at::kByte},
        {"bool", at::kBool},
    }};
    Json names = Json::array();
    for (const auto& [name, type] : kAll) {
        const Result<void> made = guarded(name, [&] {
            at::empty({1}, at::TensorOptions().dtype(type).device(device)).to(at::kCPU);
        });
        if (made) names.push_back(name);
    }
    return names;
}

// How many operators of torch have a kernel registered for this device itself.
std::int64_t native_operators(c10::Device device) {
    const c10::DispatchKey key = c10::computeDispatchKey(at::kFloat, at::kStrided, device);
    return static_cast<std::int64_t>(
        c10::Dispatcher::singleton().getRegistrationsForDispatchKey(key).size());
}

Json peers(c10::Device device) {
    Json names = Json::array();
    if (device.is_cpu()) return names;
    const c10::impl::VirtualGuardImpl guard(device.type());
    for (c10::DeviceIndex index = 0; index < guard.deviceCount(); ++index) {
        if (index != device.index()) names.push_back(c10::Device(device.type(), index).str());
    }
    return names;
}

}  // namespace

Result<Json> describe(Session& session, const Json&) {
    const c10::Device device = session.device;
    Json result = {{"device", device.str()},
                   {"type", c10::DeviceTypeName(device.type(), true)},
                   {"index", device.is_cpu() ? 0 : device.index()}};
    put(result, "name", device_name(device));
    put(result, "memory_bytes", memory_bytes(device));
    put(result, "driver", unknown("torch has no device-neutral call for the driver's version"));
    result["libraries"] = {{"torch", loaded_torch_version()}};
    result["dtypes"] = dtypes(device);
    result["native_operators"] = native_operators(device);
    result["threads"] = at::get_num_threads();
    result["peers"] = peers(device);
    const Json& arithmetic = declared_arithmetic();
    put(result, "arithmetic",
        arithmetic.is_null() ? unknown("the device's library declares none")
                             : Result<Json>(arithmetic));
    result["observation"] = Json::array();
    return result;
}

}  // namespace ascertain::worker
