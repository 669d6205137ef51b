// Assertions that stay on in release builds. A failed one is a bug of ours: it names the condition
// and the place, and ends the process, because a verdict from a broken tool is worth nothing.
#pragma once

namespace ascertain::detail {

[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);

}  // namespace ascertain::detail

#define ASCERTAIN_ASSERT(condition)     \
    ((condition) ? static_cast<void>(0) \
                 : ::ascertain::detail::assertion_failed(#condition, __FILE__, __LINE__))
