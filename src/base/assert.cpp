#include "base/assert.hpp"

#include <unistd.h>

#include <cstdlib>
#include <string>

namespace ascertain::detail {

void assertion_failed(const char* condition, const char* file, int line) {
    const std::string text = std::string("ascertain: internal error: ") + condition + " at " +
                             file + ":" + std::to_string(line) + "\n";
    // Straight to the descriptor: no stream, no lock, so that it works in any state.
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
    std::abort();
}

}  // namespace ascertain::detail
