// The arithmetic that the device's library declares, fixed while it loads and so before any run.
#pragma once

#include "base/json.hpp"

namespace ascertain::worker {

// What `const char* ascertain_plugin_arithmetic()` of a loaded library says, a JSON object; null
// where no library has that function or it declares nothing. docs/protocol.md#describe has the
// fields.
[[nodiscard]] const Json& declared_arithmetic();

// Whether the device declares that sums at indices need not repeat.
[[nodiscard]] bool declares_unordered_index_sums();

}  // namespace ascertain::worker
