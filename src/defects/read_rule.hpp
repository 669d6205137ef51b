// Reads one rule: where, when and does.
#pragma once

#include <toml++/toml.h>

#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/toml_table.hpp"
#include "defects/defect.hpp"

namespace ascertain::defects {

struct Document {
    const std::string& path;
    const std::vector<std::string>& operators;
    std::optional<Error> error;  // the first one
};

// `fields` is the table that holds `where`, `when` and `does`, called `name`.
[[nodiscard]] Rule read_rule(Document& document, TomlTable& fields, const std::string& name);

}  // namespace ascertain::defects
