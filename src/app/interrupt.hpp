// Ctrl-C and SIGTERM, as a flag that long work looks at. The second one ends the process at once.
#pragma once

#include <atomic>

namespace ascertain::app {

// Installs the handlers; call once, early.
void watch_interrupts();

// True from the first Ctrl-C on.
[[nodiscard]] const std::atomic<bool>& interrupted();

}  // namespace ascertain::app
