// A server as people name it: its address stands where a device's name does.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace ascertain::device {

// True for the address of a server ("http://host:port/v1"), which stands where a device's name
// does.
[[nodiscard]] bool is_endpoint(std::string_view name);

// Such an address without a slash at its end. It goes into evidence as it is, so what may hold a
// secret is refused. Errors: kUsage for a user, a password or a query, and for what is no address.
[[nodiscard]] Result<std::string> parse_endpoint(std::string_view text);

}  // namespace ascertain::device
