#include "decide/evidence/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>

namespace ascertain::evidence {
namespace {

std::string_view remedy_for(int error_number) {
    switch (error_number) {
        case ENOSPC:
        case EDQUOT:
            return "; free some space there and go on with --resume, or choose another --out";
        case EFBIG: return "; raise the file size limit (ulimit -f) and go on with --resume";
        case EROFS:
        case EACCES:
        case EPERM: return "; make it accessible for this user or choose another --out";
        case ENOENT: return "; check the path";
        case ENOTDIR: return "; a part of the path is a file, choose another --out";
        case ELOOP: return "; the path leads through symbolic links in a circle";
        case ENAMETOOLONG: return "; choose a shorter path";
        case EIO:
        case ESTALE: return "; the storage failed, check it before trusting this directory";
        case EMFILE:
        case ENFILE: return "; raise the limit of open files (ulimit -n)";
        default: return "";
    }
}

}  // namespace

Descriptor::~Descriptor() {
    if (number_ >= 0) ::close(number_);
}

Error file_error(std::string_view action, const std::filesystem::path& path, int error_number) {
    return {ErrorCode::kEvidence,
            fmt::format("cannot {}: {}{}", action, std::strerror(error_number),
                        remedy_for(error_number)),
            path.string()};
}

Result<Descriptor> open_file(const std::filesystem::path& path, int flags) {
    int number = -1;
    do {
        number = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
    } while (number < 0 && errno == EINTR);
    if (number < 0) return file_error("open", path, errno);
    return Descriptor(number);
}

Result<void> write_all(const Descriptor& file, std::string_view bytes,
                       const std::filesystem::path& path) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(file.number(), bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return file_error("write", path, written == 0 ? ENOSPC : errno);
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
}

Result<void> flush(const Descriptor& file, const std::filesystem::path& path) {
    if (::fsync(file.number()) != 0) return file_error("flush to disk", path, errno);
    return {};
}

Result<void> flush_directory(const std::filesystem::path& directory) {
    const auto file = open_file(directory, O_RDONLY | O_DIRECTORY);
    if (!file) return file.error();
    // Some file systems have nothing to flush for a directory and say EINVAL; that is no failure.
    if (::fsync(file->number()) != 0 && errno != EINVAL) {
        return file_error("flush to disk", directory, errno);
    }
    return {};
}

Result<std::string> read_file(const std::filesystem::path& path, std::uint64_t size_bytes_max) {
    const auto file = open_file(path, O_RDONLY | O_NONBLOCK);
    if (!file) return file.error();
    struct stat status {};
    if (::fstat(file->number(), &status) != 0) return file_error("read", path, errno);
    if (!S_ISREG(status.st_mode)) {
        return Error{ErrorCode::kEvidence, "not a regular file", path.string()};
    }
    std::string bytes;
    std::array<char, 65536> buffer{};
    for (;;) {
        const ssize_t got = ::read(file->number(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return file_error("read", path, errno);
        if (got == 0) return bytes;
        bytes.append(buffer.data(), static_cast<std::size_t>(got));
        if (bytes.size() > size_bytes_max) {
            return Error{ErrorCode::kEvidence,
                         fmt::format("larger than the {} bytes allowed", size_bytes_max),
                         path.string()};
        }
    }
}

Result<void> make_directory(const std::filesystem::path& path) {
    std::error_code problem;
    std::filesystem::create_directories(path, problem);
    if (problem) return file_error("create the directory", path, problem.value());
    if (!std::filesystem::is_directory(path, problem)) {
        return file_error("create the directory", path, problem ? problem.value() : ENOTDIR);
    }
    return {};
}

Result<void> write_atomically(const std::filesystem::path& path, std::string_view bytes) {
    const auto part =
        path.parent_path() / fmt::format(".{}.{}.part", path.filename().string(), ::getpid());
    const auto written = [&]() -> Result<void> {
        const auto file = open_file(part, O_WRONLY | O_CREAT | O_TRUNC);
        if (!file) return file.error();
        if (auto done = write_all(*file, bytes, path); !done) return done;
        if (auto done = flush(*file, path); !done) return done;
        if (::rename(part.c_str(), path.c_str()) != 0) return file_error("rename", path, errno);
        return flush_directory(path.parent_path());
    }();
    if (!written) ::unlink(part.c_str());
    return written;
}

std::string sha256(std::string_view bytes) {
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
    std::string text;
    text.reserve(2 * digest.size());
    for (const unsigned char byte : digest)
        fmt::format_to(std::back_inserter(text), "{:02x}", byte);
    return text;
}

std::string utc_now() {
    const auto now = std::chrono::system_clock::now();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now);
    const auto milliseconds =
        std::chrono::duration_cast<std::chrono::milliseconds>(now - seconds).count();
    const std::time_t time = std::chrono::system_clock::to_time_t(seconds);
    std::tm parts{};
    ::gmtime_r(&time, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                       parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                       milliseconds);
}

}  // namespace ascertain::evidence
