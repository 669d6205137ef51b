// The arguments of an operator case as Python expressions over plain torch; of vendor_script.cpp.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"

namespace ascertain::report {

struct PythonArguments {
    std::vector<std::string> expressions;  // one per argument of the operator
    std::vector<std::string> helpers;      // the definitions that they use, one line each
};

// Nothing for a case that does not read well: a script that guesses would accuse by guesswork.
[[nodiscard]] std::optional<PythonArguments> python_arguments(const Json& operator_case);

// "torch.bfloat16" for "bf16"; "" when it is no dtype.
[[nodiscard]] std::string torch_dtype(std::string_view name);

}  // namespace ascertain::report
