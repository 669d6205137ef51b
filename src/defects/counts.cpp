#include "defects/counts.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <sstream>
#include <utility>

namespace ascertain::defects {
namespace {

constexpr std::size_t kIdBytes = 64;
constexpr std::size_t kLineBytes = 95;  // an id, two numbers of 14, two blanks, a line's end

std::string line_of(const std::string& id, std::int64_t matched, std::int64_t fired) {
    return fmt::format("{:<64} {:>14} {:>14}\n", id.substr(0, kIdBytes), matched, fired);
}

std::string read_line(int file, std::size_t place) {
    std::array<char, kLineBytes> bytes{};
    const auto got =
        ::pread(file, bytes.data(), bytes.size(), static_cast<off_t>(place * kLineBytes));
    return got == static_cast<ssize_t>(kLineBytes) ? std::string(bytes.data(), bytes.size()) : "";
}

void write_line(int file, std::size_t place, const std::string& line) {
    static_cast<void>(
        ::pwrite(file, line.data(), line.size(), static_cast<off_t>(place * kLineBytes)));
}

// Other processes wait meanwhile.
class FileLock {
public:
    explicit FileLock(int file) : file_(file) { ::flock(file_, LOCK_EX); }
    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;
    ~FileLock() { ::flock(file_, LOCK_UN); }

private:
    int file_;
};

bool is_of(int file, const std::vector<std::string>& ids) {
    for (std::size_t place = 0; place < ids.size(); ++place) {
        const std::string id = fmt::format("{:<64}", ids[place].substr(0, kIdBytes));
        if (!read_line(file, place).starts_with(id)) return false;
    }
    return read_line(file, ids.size()).empty();
}

}  // namespace

Result<Counts> Counts::open(const std::string& path, const std::vector<std::string>& ids) {
    std::string name = path;
    if (const auto place = name.find("%p"); place != std::string::npos) {
        name.replace(place, 2, std::to_string(::getpid()));
    }
    Counts counts;
    counts.file_ = ::open(name.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
    if (counts.file_ < 0) {
        return Error{ErrorCode::kEnvironment,
                     fmt::format("cannot be written: {}", std::strerror(errno)), name};
    }
    counts.ids_ = ids;
    const FileLock lock(counts.file_);
    if (!is_of(counts.file_, ids)) {
        static_cast<void>(::ftruncate(counts.file_, 0));
        for (std::size_t place = 0; place < ids.size(); ++place) {
            write_line(counts.file_, place, line_of(ids[place], 0, 0));
        }
    }
    return counts;
}

Counts::Counts(Counts&& other) noexcept
    : file_(std::exchange(other.file_, -1)), ids_(std::move(other.ids_)) {}

Counts& Counts::operator=(Counts&& other) noexcept {
    std::swap(file_, other.file_);
    std::swap(ids_, other.ids_);
    return *this;
}

Counts::~Counts() {
    if (file_ >= 0) ::close(file_);
}

void Counts::add(std::size_t place, std::int64_t matched, std::int64_t fired) {
    if (file_ < 0) return;
    const FileLock lock(file_);
    const std::string before = read_line(file_, place);
    std::istringstream numbers(before.size() > kIdBytes ? before.substr(kIdBytes) : "");
    std::int64_t matched_before = 0;
    std::int64_t fired_before = 0;
    numbers >> matched_before >> fired_before;
    write_line(file_, place, line_of(ids_[place], matched_before + matched, fired_before + fired));
}

Result<std::vector<Count>> read_counts(std::string_view text, const std::string& path) {
    std::vector<Count> counts;
    std::istringstream lines{std::string(text)};
    std::string line;
    for (int number = 1; std::getline(lines, line); ++number) {
        // An id may hold blanks: the two numbers stand at the end.
        std::istringstream words(line.size() > kIdBytes ? line.substr(kIdBytes) : "");
        Count count;
        if (!(words >> count.matched >> count.fired)) {
            return Error{ErrorCode::kBadInput, "is not \"id matched fired\"",
                         fmt::format("{}:{}", path, number)};
        }
        count.id = line.substr(0, line.find_last_not_of(' ', kIdBytes - 1) + 1);
        counts.push_back(std::move(count));
    }
    return counts;
}

}  // namespace ascertain::defects
