#include "measure/device/clock.hpp"

#include <chrono>

namespace ascertain::device {

Seconds SteadyClock::now() const {
    const auto since_start = std::chrono::steady_clock::now().time_since_epoch();
    return {std::chrono::duration<double>(since_start).count()};
}

}  // namespace ascertain::device
