// A device on another node is called "node1/cuda:0"; every room that names devices reads it so.
#pragma once

#include <string_view>

namespace ascertain {

// "node1" of "node1/cuda:0"; empty for a device of this machine.
[[nodiscard]] std::string_view node_of(std::string_view device);

// What the device is called on its own node: "cuda:0" of "node1/cuda:0"; the whole where there is
// no node.
[[nodiscard]] std::string_view local_part(std::string_view device);

}  // namespace ascertain
