#include "decide/evidence/blobs.hpp"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.hpp"
#include "decide/evidence/files.hpp"

namespace ascertain::evidence {
namespace {

// zstd's own default: on texts and samples about as small as level 6 at twice its speed.
constexpr int kCompressionLevel = 3;
constexpr std::size_t kNameDigits = 64;
constexpr std::size_t kFolderDigits = 2;
constexpr std::string_view kSuffix = ".zst";

bool is_name(std::string_view name) {
    return name.size() == kNameDigits &&
           name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Result<std::string> unfold(std::string_view packed, const std::filesystem::path& path) {
    const auto damaged = [&](std::string_view why) {
        return Error{ErrorCode::kEvidence, fmt::format("the blob is damaged: {}", why),
                     path.string()};
    };
    const auto size = ZSTD_getFrameContentSize(packed.data(), packed.size());
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN) {
        return damaged("no size in its header");
    }
    if (size > kBlobBytesMax) return damaged("its header claims more than a blob may hold");
    std::string content(size, '\0');
    const auto got = ZSTD_decompress(content.data(), content.size(), packed.data(), packed.size());
    if (ZSTD_isError(got) != 0) return damaged(ZSTD_getErrorName(got));
    if (got != content.size()) return damaged("it is shorter than its header says");
    return content;
}

// Calls `visit` for every entry of blobs/ab/; what cannot be read ends the walk with an error.
template <typename Visit>
Result<void> walk(const std::filesystem::path& directory, Visit visit) {
    const auto root = directory / "blobs";
    std::error_code problem;
    if (!std::filesystem::exists(root, problem)) return {};
    std::filesystem::recursive_directory_iterator entries(root, problem);
    const std::filesystem::recursive_directory_iterator end;
    for (; !problem && entries != end; entries.increment(problem)) {
        if (!entries->is_directory(problem)) visit(entries->path());
    }
    if (problem) return file_error("read the blobs", root, problem.value());
    return {};
}

}  // namespace

std::filesystem::path blob_path(const std::filesystem::path& directory, std::string_view name) {
    ASCERTAIN_ASSERT(is_name(name));
    return directory / "blobs" / name.substr(0, kFolderDigits) /
           fmt::format("{}{}", name.substr(kFolderDigits), kSuffix);
}

Result<std::string> put_blob(const std::filesystem::path& directory, std::string_view content) {
    if (content.size() > kBlobBytesMax) {
        return Error{ErrorCode::kEvidence,
                     fmt::format("a blob of {} bytes is more than the {} allowed", content.size(),
                                 kBlobBytesMax),
                     directory.string()};
    }
    auto name = sha256(content);
    const auto path = blob_path(directory, name);
    std::error_code problem;
    if (std::filesystem::exists(path, problem)) return name;
    if (auto made = make_directory(path.parent_path()); !made) return made.error();
    std::string packed(ZSTD_compressBound(content.size()), '\0');
    const auto size = ZSTD_compress(packed.data(), packed.size(), content.data(), content.size(),
                                    kCompressionLevel);
    if (ZSTD_isError(size) != 0) {
        return Error{ErrorCode::kEnvironment,
                     fmt::format("cannot compress: {}", ZSTD_getErrorName(size)), path.string()};
    }
    packed.resize(size);
    if (auto written = write_atomically(path, packed); !written) return written.error();
    if (auto flushed = flush_directory(directory / "blobs"); !flushed) return flushed.error();
    return name;
}

Result<std::string> get_blob(const std::filesystem::path& directory, std::string_view name) {
    if (!is_name(name)) {
        return Error{
            ErrorCode::kEvidence,
            fmt::format("\"{}\" is no blob: a name is 64 hexadecimal digits", shortened(name, 80)),
            directory.string()};
    }
    const auto path = blob_path(directory, name);
    const auto packed = read_file(path, ZSTD_compressBound(kBlobBytesMax));
    if (!packed) return packed.error();
    auto content = unfold(*packed, path);
    if (!content) return content.error();
    if (sha256(*content) != name) {
        return Error{ErrorCode::kEvidence,
                     "the blob is damaged: it does not hold what its name says", path.string()};
    }
    return content;
}

Result<std::vector<std::string>> list_blobs(const std::filesystem::path& directory) {
    std::vector<std::string> names;
    const auto walked = walk(directory, [&](const std::filesystem::path& path) {
        const auto file = path.filename().string();
        if (!file.ends_with(kSuffix) || file.starts_with('.')) return;
        auto name =
            path.parent_path().filename().string() + file.substr(0, file.size() - kSuffix.size());
        if (is_name(name)) names.push_back(std::move(name));
    });
    if (!walked) return walked.error();
    std::ranges::sort(names);
    return names;
}

void remove_partial_blobs(const std::filesystem::path& directory) {
    std::vector<std::filesystem::path> partial;
    const auto walked = walk(directory, [&](const std::filesystem::path& path) {
        const auto file = path.filename().string();
        if (file.starts_with('.') && file.ends_with(".part")) partial.push_back(path);
    });
    // Left-overs are harmless, so one that cannot be found or deleted is left for the next time.
    if (!walked) return;
    for (const auto& path : partial) {
        std::error_code ignored;
        std::filesystem::remove(path, ignored);
    }
}

}  // namespace ascertain::evidence
