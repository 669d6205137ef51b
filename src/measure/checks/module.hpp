// The checks module.*: a module of the user's own. They are part of a plan only where one was
// brought.
#pragma once

#include <span>
#include <string_view>

#include "measure/checks/check.hpp"

namespace ascertain::checks {

// Whether the check asks about the user's module; its parameter `module` is FILE.py:FUNCTION.
[[nodiscard]] bool asks_about_module(const Definition& definition);

// The type of device that alone has what the check asks about; empty: all have.
[[nodiscard]] std::string_view only_on(const Definition& definition);

Step module_eager(const Context& context, const Json& state, std::span<const Answer> answers);
Step module_compiled(const Context& context, const Json& state, std::span<const Answer> answers);
Step module_graphed(const Context& context, const Json& state, std::span<const Answer> answers);

}  // namespace ascertain::checks
