// What of the campaign's fleet was here: whether the devices under test are its chips. Used inside
// this room only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"

namespace ascertain::judge {

// "cpu,npu:0" → {"cpu", "npu:0"}
[[nodiscard]] std::vector<std::string> members_of(std::string_view group);

// Whether every member of the group is the CPU.
[[nodiscard]] bool is_cpu(std::string_view group);

struct Presence {
    bool chip = false;  // an accelerator was under test, and no simulated one
    std::string doubt;  // why it is not shown that the fleet's chips were under test; "" when it is
};

// `devices` are the members under test; `descriptions` what `describe` answered, one per device;
// `campaign` names fleets[].chip and serving_chip. A device is a fleet's chip when its description
// says so (`chip`, the id that the catalog gave it) or when its name and the chip's id, letters and
// digits alone, hold one another: "Ascend910B2" is "ascend-910b2".
[[nodiscard]] Presence presence_of(const std::vector<std::string>& devices,
                                   const Json& descriptions, const Json& campaign);

}  // namespace ascertain::judge
