// The few file operations evidence is made of, each with an error that says what to do. Used inside
// this room only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.hpp"

namespace ascertain::evidence {

// An open file that closes itself and is never inherited by a worker process.
class Descriptor {
public:
    Descriptor() = default;
    explicit Descriptor(int number) : number_(number) {}
    Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor();

    [[nodiscard]] int number() const { return number_; }
    [[nodiscard]] bool open() const { return number_ >= 0; }

private:
    int number_ = -1;
};

// kEvidence: what could not be done to `path`, why (from `error_number`), and how to mend it.
[[nodiscard]] Error file_error(std::string_view action, const std::filesystem::path& path,
                               int error_number);

// open(2) with O_CLOEXEC, repeated when interrupted.
[[nodiscard]] Result<Descriptor> open_file(const std::filesystem::path& path, int flags);
// All bytes, or an error; how many were written before it is unknown.
[[nodiscard]] Result<void> write_all(const Descriptor& file, std::string_view bytes,
                                     const std::filesystem::path& path);
[[nodiscard]] Result<void> flush(const Descriptor& file, const std::filesystem::path& path);
// Makes a name that was created or renamed in `directory` survive a crash of the machine.
[[nodiscard]] Result<void> flush_directory(const std::filesystem::path& directory);
[[nodiscard]] Result<std::string> read_file(const std::filesystem::path& path,
                                            std::uint64_t size_bytes_max);
// Creates `path` and its parents; an existing directory is fine, anything else is named.
[[nodiscard]] Result<void> make_directory(const std::filesystem::path& path);
// Writes beside `path` and renames over it, so that a reader sees all of it or none of it.
[[nodiscard]] Result<void> write_atomically(const std::filesystem::path& path,
                                            std::string_view bytes);

// SHA-256 as 64 hexadecimal digits. Source: FIPS 180-4; computed by libcrypto.
[[nodiscard]] std::string sha256(std::string_view bytes);

// The time now as "2026-11-25T02:15:29.123Z". The one clock of this room, for callers to pass in.
[[nodiscard]] std::string utc_now();

}  // namespace ascertain::evidence
