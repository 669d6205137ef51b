// The checks that need no model: each puts one battery of questions (docs/protocol.md#numerics) to
// the device. What the batteries ask is written in worker/operators/battery.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "measure/checks/check.hpp"

namespace ascertain::checks {

// A name as a template argument.
template <std::size_t kSize>
struct BatteryName {
    // NOLINTNEXTLINE(google-explicit-constructor): written as a string literal
    constexpr BatteryName(const char (&name)[kSize]) { std::copy_n(name, kSize, text); }
    [[nodiscard]] constexpr std::string_view view() const { return {text, kSize - 1}; }
    char text[kSize]{};
};

Step ask_battery(std::string_view battery, const Context& context, const Json& state,
                 std::span<const Answer> answers);

template <BatteryName kBattery>
Step ops_battery(const Context& context, const Json& state, std::span<const Answer> answers) {
    return ask_battery(kBattery.view(), context, state, answers);
}

}  // namespace ascertain::checks
