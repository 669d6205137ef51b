#include "measure/device/endpoint.hpp"

#include <fmt/format.h>

namespace ascertain::device {

bool is_endpoint(std::string_view name) {
    return name.starts_with("http://") || name.starts_with("https://");
}

Result<std::string> parse_endpoint(std::string_view text) {
    constexpr std::size_t kBytesMax = 2000;
    const auto refused = [](std::string_view why, std::string_view where) {
        return Error{ErrorCode::kUsage,
                     fmt::format("{}: write http://host:port/v1, and put its key into the "
                                 "environment variable ASCERTAIN_API_KEY",
                                 why),
                     std::string(where)};
    };
    if (!is_endpoint(text) || text.size() > kBytesMax) {
        return refused("this is no address of a server", text.substr(0, 100));
    }
    if (text.find('@') != std::string_view::npos) {
        return refused("the address carries a user or a password", "");
    }
    const std::size_t query = text.find_first_of("?#");
    if (query != std::string_view::npos) {
        return refused("the address carries a query", text.substr(0, query));
    }
    const std::string_view host = text.substr(text.find("://") + 3);
    const bool odd = text.find_first_of(", \t\r\n\"'\\<>") != std::string_view::npos;
    if (odd || host.empty() || host.front() == '/' || host.front() == ':') {
        return refused("this is no address of a server", text.substr(0, 100));
    }
    while (text.ends_with('/')) text.remove_suffix(1);
    return std::string(text);
}

}  // namespace ascertain::device
