#include "app/files.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace ascertain::app {
namespace fs = std::filesystem;

Result<std::string> read_file(const std::string& path, std::size_t size_bytes_max) {
    const auto refuse = [&](std::string message) {
        return Error{ErrorCode::kBadInput, std::move(message), path};
    };
    std::error_code failed;
    const auto status = fs::status(path, failed);
    if (!fs::exists(status)) return refuse("there is no such file");
    if (fs::is_directory(status)) return refuse("this is a folder, not a file");
    if (!fs::is_regular_file(status)) return refuse("this is not a regular file");
    const auto size = fs::file_size(path, failed);
    if (!failed && size > size_bytes_max) {
        return refuse(
            fmt::format("{} bytes is more than the {} bytes expected here", size, size_bytes_max));
    }
    std::ifstream in(path, std::ios::binary);
    if (!in) return refuse(fmt::format("cannot be read: {}", std::strerror(errno)));
    std::ostringstream text;
    text << in.rdbuf();
    if (in.bad()) return refuse("reading failed half-way");
    return std::move(text).str();
}

Result<void> write_file(const std::string& path, std::string_view text) {
    const std::string beside = fmt::format("{}.{}.part", path, ::getpid());
    {
        std::ofstream out(beside, std::ios::binary | std::ios::trunc);
        out.write(text.data(), static_cast<std::streamsize>(text.size()));
        out.flush();
        if (!out) {
            const std::string why = std::strerror(errno);
            std::error_code ignored;
            fs::remove(beside, ignored);
            return Error{ErrorCode::kEvidence,
                         fmt::format("cannot be written: {}; choose another place with --out", why),
                         path};
        }
    }
    std::error_code failed;
    fs::rename(beside, path, failed);
    if (failed) {
        return Error{ErrorCode::kEvidence, fmt::format("cannot be written: {}", failed.message()),
                     path};
    }
    return {};
}

Result<std::vector<std::string>> files_in(const std::string& directory, std::string_view suffix) {
    std::error_code failed;
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(directory, failed)) {
        const std::string path = entry.path().string();
        if (path.ends_with(suffix)) found.push_back(path);
    }
    if (failed) {
        return Error{ErrorCode::kBadInput, fmt::format("cannot be listed: {}", failed.message()),
                     directory};
    }
    std::ranges::sort(found);
    return found;
}

}  // namespace ascertain::app
