// The closed lists of words that a defect file may use.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "defects/defect.hpp"

namespace ascertain::defects {

[[nodiscard]] const std::vector<std::string>& plane_names();     // in the order of Plane
[[nodiscard]] const std::vector<std::string>& layout_names();    // in the order of Layout
[[nodiscard]] const std::vector<std::string>& defect_classes();  // of the published defects
[[nodiscard]] const std::vector<std::string>& dtype_names();
[[nodiscard]] const std::vector<std::string>& collectives();
[[nodiscard]] const std::vector<std::string>& points();  // of trainer, checkpoint and server
[[nodiscard]] const std::vector<std::string>& events();  // of months on site
// k and last_dim are the same number; rows is elements / last_dim.
[[nodiscard]] const std::vector<std::string>& shape_quantities();

// The program that arms rules of this place; "" while there is none.
[[nodiscard]] std::string_view engine_of(Place place);

}  // namespace ascertain::defects
