// Time as an argument, so that deadlines can be tested without waiting for them.
#pragma once

#include "base/units.hpp"

namespace ascertain::device {

class Clock {
public:
    Clock() = default;
    Clock(const Clock&) = delete;
    Clock& operator=(const Clock&) = delete;
    virtual ~Clock() = default;

    // Seconds since some fixed moment; never goes back.
    [[nodiscard]] virtual Seconds now() const = 0;
};

// The machine's monotonic clock.
class SteadyClock final : public Clock {
public:
    [[nodiscard]] Seconds now() const override;
};

}  // namespace ascertain::device
