// One run per directory, also where the directory is shared between machines. The lock is the file
// `lock`, created exclusively (which network file systems honour), naming its owner; flock(2) on it
// arbitrates where the file system offers that.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/result.hpp"
#include "decide/evidence/files.hpp"

namespace ascertain::evidence {

// Who holds a directory. A process is the same one only if host, boot, pid and start time agree.
struct LockOwner {
    std::string host;
    std::string boot_id;  // of the running kernel; another one: the machine was restarted
    std::int64_t pid = 0;
    std::uint64_t start_ticks = 0;  // when the process started, in clock ticks since boot
    std::string since_utc;
};

class Lock {
public:
    // Takes the directory, also from an owner that is provably dead (same host, other boot or no
    // such process). kEvidence names the owner, and what to do when it is on another machine.
    [[nodiscard]] static Result<Lock> take(const std::filesystem::path& directory,
                                           const std::string& now_utc);

    Lock(Lock&&) noexcept = default;
    Lock& operator=(Lock&&) = delete;
    ~Lock();  // gives the directory back

private:
    Lock(Descriptor file, std::filesystem::path path)
        : file_(std::move(file)), path_(std::move(path)) {}

    Descriptor file_;
    std::filesystem::path path_;
};

}  // namespace ascertain::evidence
