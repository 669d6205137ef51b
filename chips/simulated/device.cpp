#include "chips/simulated/device.hpp"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <string_view>

namespace ascertain::simulated {
namespace {

c10::DeviceIndex& count() noexcept {
    static c10::DeviceIndex value = kDevicesDefault;
    return value;
}

thread_local c10::DeviceIndex current = 0;

}  // namespace

c10::DeviceIndex device_count() noexcept {
    return count();
}

std::string read_device_count() {
    const char* variable = std::getenv(kDevicesVariable);
    if (variable == nullptr || *variable == '\0') return "";
    const std::string_view text = variable;
    int value = 0;
    const auto read = std::from_chars(text.begin(), text.end(), value);
    if (read.ec != std::errc() || read.ptr != text.end() || value < 1 || value > kDevicesMax) {
        return fmt::format("{}: \"{}\" is not a whole number from 1 to {}", kDevicesVariable, text,
                           kDevicesMax);
    }
    count() = static_cast<c10::DeviceIndex>(value);
    return "";
}

c10::DeviceIndex current_device() noexcept {
    return current;
}

void set_current_device(c10::DeviceIndex index) noexcept {
    current = index;
}

void check_index(c10::DeviceIndex index) {
    TORCH_CHECK(index >= 0 && index < device_count(), "there is no simulated:", int{index},
                "; this machine has ", int{device_count()}, " simulated devices (",
                kDevicesVariable, ")");
}

std::string& load_failure() {
    static std::string message;
    return message;
}

}  // namespace ascertain::simulated
