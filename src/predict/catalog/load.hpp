// The one place of this room that reads files.
#pragma once

#include <filesystem>
#include <vector>

#include "base/result.hpp"
#include "predict/catalog/catalog.hpp"

namespace ascertain::catalog {

// Reads `data`/chips/*.toml and `data`/networks/*.toml, then the user's own chip and network
// files, which override by id. kBadInput names the file that is missing, unreadable or wrong.
[[nodiscard]] Result<Catalog> load_catalog(
    const std::filesystem::path& data, const std::vector<std::filesystem::path>& own_chips,
    const std::vector<std::filesystem::path>& own_networks = {});

}  // namespace ascertain::catalog
