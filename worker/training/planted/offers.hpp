// Which effects this worker can have at which point. A rule that is not here never matches and so
// shows as not exercised.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ascertain::training::planted {

[[nodiscard]] std::vector<std::string> offered_points();
// Empty for a point that is not offered.
[[nodiscard]] std::vector<std::string> offered_effects(std::string_view point);

}  // namespace ascertain::training::planted
