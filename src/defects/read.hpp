// Reads a defect file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "defects/defect.hpp"

namespace ascertain::defects {

inline constexpr const char* kSchema = "ascertain.defect/1";

// The defects of a document. `path` is what errors call it; `operators` are the names that reach a
// device, without namespace and overload: empty where they are not known, and then not checked.
// Errors: kBadInput, with path:line:column and near matches, for anything that does not read well.
[[nodiscard]] Result<std::vector<Defect>> read_defects(std::string_view text,
                                                       const std::string& path,
                                                       const std::vector<std::string>& operators);

}  // namespace ascertain::defects
