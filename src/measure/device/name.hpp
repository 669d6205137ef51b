// The name of a device as people write it: "cpu", "cuda:0", "npu:3", "simulated:0"; on another node
// "node1/cuda:0".
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace ascertain::device {

struct Name {
    std::string type;    // "cpu", "cuda", "npu" …
    int index = 0;       // 0 for the CPU, of which there is one
    std::string node{};  // as its agent calls it; empty: this machine

    bool operator==(const Name&) const = default;
};

// Reads "cpu", "cuda:0", "node1/npu:3"; a type alone means its device 0. Errors: kUsage with the
// near matches for an unknown type, with the accepted form for anything else (a negative, missing
// or absurd index, a second CPU). Whether such a device is here only a worker can say.
[[nodiscard]] Result<Name> parse_name(std::string_view text);

// "cpu" for the CPU, else "type:index"; after "node/" where there is a node.
[[nodiscard]] std::string to_text(const Name& name);

// True for a device of another node; a server's address names none.
[[nodiscard]] bool is_elsewhere(std::string_view name);

// True when the device computes on the processors and the memory of its machine, so that work on
// it disturbs the timing of every other such device there.
[[nodiscard]] bool shares_host(const Name& name);
// True when both are such devices of one machine.
[[nodiscard]] bool share_host(const Name& name, const Name& other);

}  // namespace ascertain::device
