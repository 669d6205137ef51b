// Reading and writing whole files, with errors that say what to do.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace ascertain::app {

// The file's bytes. kBadInput naming the path when it is missing, a folder, not a regular file,
// unreadable or larger than `size_bytes_max` (told before it is read).
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t size_bytes_max);

// Writes beside the target and renames, so that a reader never sees half a file. kEvidence.
[[nodiscard]] Result<void> write_file(const std::string& path, std::string_view text);

// The files of `directory` whose name ends in `suffix`, sorted by name.
[[nodiscard]] Result<std::vector<std::string>> files_in(const std::string& directory,
                                                        std::string_view suffix);

}  // namespace ascertain::app
