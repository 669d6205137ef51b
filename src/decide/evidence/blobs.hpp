// Large things beside the records (raw samples, a worker's stderr), compressed and named by what
// they hold: blobs/ab/cdef….zst is the one whose content has the SHA-256 abcdef….
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace ascertain::evidence {

// A blob that claims to unfold to more is refused before it is unfolded.
inline constexpr std::uint64_t kBlobBytesMax = 1u << 30;

[[nodiscard]] std::filesystem::path blob_path(const std::filesystem::path& directory,
                                              std::string_view name);

// Stores `content`, all of it or nothing, and returns its name; storing it again costs one look.
[[nodiscard]] Result<std::string> put_blob(const std::filesystem::path& directory,
                                           std::string_view content);

// The content, held against its name. kEvidence when it is missing, damaged or no blob name.
[[nodiscard]] Result<std::string> get_blob(const std::filesystem::path& directory,
                                           std::string_view name);

// Names of all blobs, sorted; a directory without any is fine.
[[nodiscard]] Result<std::vector<std::string>> list_blobs(const std::filesystem::path& directory);

// Deletes what half-written blobs a crash left; the caller holds the lock.
void remove_partial_blobs(const std::filesystem::path& directory);

}  // namespace ascertain::evidence
