#include "decide/evidence/lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <optional>

#include "base/json.hpp"

namespace ascertain::evidence {
namespace {

constexpr std::uint64_t kLockBytesMax = 4096;
constexpr int kTriesMax = 16;  // the file vanishes under us only while another run ends

std::string read_line(const char* path) {
    auto text = read_file(path, kLockBytesMax);
    if (!text) return {};
    while (!text->empty() && text->back() == '\n') text->pop_back();
    return std::move(*text);
}

// Field 22 of /proc/<pid>/stat; the name in field 2 may hold spaces and brackets, so count from its
// closing one. 0 when there is no such process. Source: proc(5).
std::uint64_t start_ticks_of(std::int64_t pid) {
    const auto text = read_line(fmt::format("/proc/{}/stat", pid).c_str());
    auto position = text.rfind(')');
    if (position == std::string::npos) return 0;
    constexpr int kFieldsAfterName = 20;
    for (int field = 0; field < kFieldsAfterName; ++field) {
        position = text.find(' ', position + 1);
        if (position == std::string::npos) return 0;
    }
    return std::strtoull(text.c_str() + position + 1, nullptr, 10);
}

LockOwner this_process(const std::string& now_utc) {
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    return {host.data(), read_line("/proc/sys/kernel/random/boot_id"), ::getpid(),
            start_ticks_of(::getpid()), now_utc};
}

std::string text_of(const LockOwner& owner) {
    const Json document{{"host", owner.host},
                        {"boot_id", owner.boot_id},
                        {"pid", owner.pid},
                        {"start_ticks", owner.start_ticks},
                        {"since_utc", owner.since_utc}};
    return document.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::optional<LockOwner> owner_in(const std::string& text) {
    const auto document = parse_json(text, "lock");
    if (!document) return std::nullopt;
    const auto host = text_at(*document, "host", "lock");
    const auto boot_id = text_at(*document, "boot_id", "lock");
    const auto pid = integer_at(*document, "pid", "lock");
    const auto ticks = integer_at(*document, "start_ticks", "lock");
    const auto since = text_at(*document, "since_utc", "lock");
    if (!host || !boot_id || !pid || !ticks || !since) return std::nullopt;
    return LockOwner{*host, *boot_id, *pid, static_cast<std::uint64_t>(*ticks), *since};
}

bool provably_dead(const LockOwner& owner, const LockOwner& self) {
    if (owner.host != self.host) return false;
    if (owner.boot_id != self.boot_id) return true;
    return start_ticks_of(owner.pid) != owner.start_ticks;
}

Error in_use(const std::filesystem::path& path, const std::optional<LockOwner>& owner) {
    const auto by =
        owner ? fmt::format("process {} on {} since {}", owner->pid, owner->host, owner->since_utc)
              : std::string("a run that has not yet written its name");
    return {ErrorCode::kEvidence,
            fmt::format("the directory is in use by {}; choose another --out, or, if that run is "
                        "surely dead, delete {}",
                        by, path.string()),
            path.parent_path().string()};
}

// True when `file` is still what `path` names.
bool still_there(const Descriptor& file, const std::filesystem::path& path) {
    struct stat opened {};
    struct stat named {};
    return ::fstat(file.number(), &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
           opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

struct Opened {
    Descriptor file;
    int error_number = 0;  // why it is not open
};

Opened open_lock(const std::filesystem::path& path, int flags) {
    const int number = ::open(path.c_str(), flags | O_RDWR | O_CLOEXEC, 0644);
    return {Descriptor(number), number < 0 ? errno : 0};
}

enum class Flock { kTaken, kHeldByOther, kNotOffered };

Flock try_flock(const Descriptor& file) {
    if (::flock(file.number(), LOCK_EX | LOCK_NB) == 0) return Flock::kTaken;
    return errno == EWOULDBLOCK ? Flock::kHeldByOther : Flock::kNotOffered;
}

Result<void> write_owner(const Descriptor& file, const LockOwner& owner,
                         const std::filesystem::path& path) {
    if (::ftruncate(file.number(), 0) != 0) return file_error("write", path, errno);
    if (::lseek(file.number(), 0, SEEK_SET) != 0) return file_error("write", path, errno);
    if (auto written = write_all(file, text_of(owner), path); !written) return written;
    return flush(file, path);
}

// Without flock two runs may find the same dead owner; only the one whose rename moves that owner's
// file goes on. A rename that moved a living one's file is undone.
Result<bool> move_dead_lock(const std::filesystem::path& path, const std::string& dead_text) {
    const auto aside = fmt::format("{}.dead.{}", path.string(), ::getpid());
    if (::rename(path.c_str(), aside.c_str()) != 0) {
        if (errno == ENOENT) return true;
        return file_error("take over the lock of a dead run", path, errno);
    }
    const auto moved = read_file(aside, kLockBytesMax);
    const bool ours = moved && *moved == dead_text;
    if (!ours && ::link(aside.c_str(), path.c_str()) != 0) {
        return file_error("give back a lock", path, errno);
    }
    ::unlink(aside.c_str());
    return ours;
}

}  // namespace

Result<Lock> Lock::take(const std::filesystem::path& directory, const std::string& now_utc) {
    const auto path = directory / "lock";
    const LockOwner self = this_process(now_utc);
    for (int attempt = 0; attempt < kTriesMax; ++attempt) {
        Opened created = open_lock(path, O_CREAT | O_EXCL);
        if (created.file.open()) {
            if (try_flock(created.file) == Flock::kHeldByOther) return in_use(path, std::nullopt);
            if (auto written = write_owner(created.file, self, path); !written) {
                ::unlink(path.c_str());
                return written.error();
            }
            return Lock(std::move(created.file), path);
        }
        if (created.error_number != EEXIST) {
            return file_error("take the lock", path, created.error_number);
        }

        auto [file, error_number] = open_lock(path, 0);
        if (error_number == ENOENT) continue;  // its owner just ended
        if (!file.open()) return file_error("take the lock", path, error_number);
        const Flock flock = try_flock(file);
        const auto text = read_file(path, kLockBytesMax);
        const auto owner = text ? owner_in(*text) : std::nullopt;
        if (flock == Flock::kHeldByOther) return in_use(path, owner);
        if (!still_there(file, path)) continue;
        const bool dead = owner ? provably_dead(*owner, self)
                                // Nobody holds it and nobody is named: its maker died in between.
                                : flock == Flock::kTaken;
        if (!dead) return in_use(path, owner);
        if (flock == Flock::kTaken) {
            if (auto written = write_owner(file, self, path); !written) return written.error();
            return Lock(std::move(file), path);
        }
        const auto moved = move_dead_lock(path, *text);
        if (!moved) return moved.error();
        if (!*moved) return in_use(path, std::nullopt);
    }
    return in_use(path, std::nullopt);
}

Lock::~Lock() {
    // The name goes first, while the lock is still held: who opened the file before sees it is
    // gone.
    if (file_.open() && still_there(file_, path_)) ::unlink(path_.c_str());
}

}  // namespace ascertain::evidence
