// Cuts a byte stream into lines of bounded length.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace ascertain::device {

class Lines {
public:
    explicit Lines(std::size_t line_bytes_max) : line_bytes_max_(line_bytes_max) {}

    // Takes what came in, in pieces of any size.
    void append(std::string_view bytes);
    // The next whole line without its '\n', or nothing yet. Amortised linear in the bytes.
    [[nodiscard]] std::optional<std::string> next();
    // True when a line is longer than allowed; nothing sensible can follow.
    [[nodiscard]] bool overflowed() const { return overflowed_; }
    // Bytes that wait for the end of their line.
    [[nodiscard]] std::size_t pending_bytes() const { return buffer_.size() - start_; }

private:
    std::size_t line_bytes_max_;
    std::string buffer_;
    std::size_t start_ = 0;    // first byte of the line that comes next
    std::size_t scanned_ = 0;  // no '\n' in [start_, scanned_)
    bool overflowed_ = false;
};

}  // namespace ascertain::device
