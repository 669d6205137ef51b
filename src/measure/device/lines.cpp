#include "measure/device/lines.hpp"

namespace ascertain::device {

void Lines::append(std::string_view bytes) {
    if (start_ > 0) {
        buffer_.erase(0, start_);
        scanned_ -= start_;
        start_ = 0;
    }
    buffer_.append(bytes);
}

std::optional<std::string> Lines::next() {
    if (overflowed_) return std::nullopt;
    const std::size_t end = buffer_.find('\n', scanned_);
    const std::size_t length = (end == std::string::npos ? buffer_.size() : end) - start_;
    if (length > line_bytes_max_) {
        overflowed_ = true;
        return std::nullopt;
    }
    if (end == std::string::npos) {
        scanned_ = buffer_.size();
        return std::nullopt;
    }
    std::string line = buffer_.substr(start_, length);
    start_ = end + 1;
    scanned_ = start_;
    return line;
}

}  // namespace ascertain::device
