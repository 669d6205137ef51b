#include "base/device_name.hpp"

namespace ascertain {

std::string_view node_of(std::string_view device) {
    const auto slash = device.find('/');
    return slash == std::string_view::npos ? std::string_view() : device.substr(0, slash);
}

std::string_view local_part(std::string_view device) {
    return device.substr(device.find('/') + 1);
}

}  // namespace ascertain
