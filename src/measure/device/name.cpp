#include "measure/device/name.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/text.hpp"
#include "measure/device/endpoint.hpp"

namespace ascertain::device {
namespace {

constexpr int kIndexMax = 65535;

// The device types torch knows by name or by plug-in (torch/csrc/DeviceType and the vendors'
// packages); AMD, MetaX and Hygon chips call themselves cuda.
const std::vector<std::string>& types() {
    static const std::vector<std::string> kTypes{"cpu", "cuda", "npu",  "simulated",
                                                 "xpu", "hpu",  "mlu",  "musa",
                                                 "gcu", "mps",  "maia", "privateuseone"};
    return kTypes;
}

}  // namespace

Result<Name> parse_name(std::string_view text) {
    if (const std::size_t slash = text.find('/'); slash != std::string_view::npos) {
        if (slash == 0 || text.find('/', slash + 1) != std::string_view::npos) {
            return Error{
                ErrorCode::kUsage,
                fmt::format("\"{}\" is no device: another node's is written node/cuda:0", text),
                {}};
        }
        auto name = parse_name(text.substr(slash + 1));
        if (name) name.value().node = std::string(text.substr(0, slash));
        return name;
    }
    const std::size_t colon = text.find(':');
    Name name{.type = std::string(text.substr(0, colon))};
    if (std::find(types().begin(), types().end(), name.type) == types().end()) {
        return Error{ErrorCode::kUsage,
                     fmt::format("no device type is called \"{}\"{}", name.type,
                                 did_you_mean(name.type, types())),
                     {}};
    }
    if (colon == std::string_view::npos) return name;
    const std::string_view digits = text.substr(colon + 1);
    const char* end = digits.data() + digits.size();
    const auto read = std::from_chars(digits.data(), end, name.index);
    const bool is_number = read.ec == std::errc{} && read.ptr == end;
    if (!is_number || name.index < 0 || name.index > kIndexMax) {
        return Error{ErrorCode::kUsage,
                     fmt::format("\"{}\" is no device: write the type and a number from 0 to {}, "
                                 "such as {}:0",
                                 text, kIndexMax, name.type),
                     {}};
    }
    if (name.type == "cpu" && name.index != 0) {
        return Error{
            ErrorCode::kUsage, fmt::format("\"{}\": there is one cpu; write cpu", text), {}};
    }
    return name;
}

std::string to_text(const Name& name) {
    const std::string device =
        name.type == "cpu" ? name.type : fmt::format("{}:{}", name.type, name.index);
    return name.node.empty() ? device : fmt::format("{}/{}", name.node, device);
}

bool is_elsewhere(std::string_view name) {
    return name.find('/') != std::string_view::npos && !is_endpoint(name);
}

bool shares_host(const Name& name) {
    return name.type == "cpu" || name.type == "simulated";
}

bool share_host(const Name& name, const Name& other) {
    return name.node == other.node && shares_host(name) && shares_host(other);
}

}  // namespace ascertain::device
