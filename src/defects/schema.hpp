// The JSON Schema of a defect file, from the tables of the language.
#pragma once

#include "base/json.hpp"

namespace ascertain::defects {

// data/schema/defect.schema.json holds this; a test compares them.
[[nodiscard]] Json defect_schema();

}  // namespace ascertain::defects
