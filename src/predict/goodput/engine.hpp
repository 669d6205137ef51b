// A discrete-event kernel and nothing else: integer time, pending events, a fixed order among
// equals. It knows no failure, no chip and no model; what an event means is its owner's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ascertain::goodput {

// Time in nanoseconds since the start. Integers, so that no sum depends on the order of its terms;
// 2^63 ns are 292 years.
using Ticks = std::int64_t;

inline constexpr double kTicksPerSecond = 1e9;
// Longer spans are clamped here, so that sums of two never overflow (95 years).
inline constexpr Ticks kLongest = 3'000'000'000'000'000'000;

// Rounds to the nearest nanosecond and clamps to [0, kLongest]; NaN gives kLongest (never happens).
[[nodiscard]] Ticks ticks_from_seconds(double seconds);
[[nodiscard]] double seconds_from_ticks(Ticks ticks);

// One thing that happens. `kind` and `token` belong to the owner.
struct Event {
    Ticks time = 0;
    std::uint64_t order = 0;  // number of insertion: earlier insertions first among equal times
    std::uint32_t kind = 0;
    std::uint32_t token = 0;
};

// Events are of two sorts. Timers are few, can be set anew or cleared at any moment, and wait in
// an array; the kind of a timer's event is the timer's number. All others are scheduled once,
// cannot be called off, and wait in a heap.
class Engine {
public:
    explicit Engine(std::size_t timers) : timers_(timers) {}

    // Forgets every event and goes back to time 0; keeps the memory.
    void reset();
    // Sets timer `timer` to fire `delay` >= 0 from now, whatever it was set to. Cost: O(1).
    void set_timer(std::uint32_t timer, Ticks delay);
    void clear_timer(std::uint32_t timer) { timers_[timer].time = kNever; }
    // Adds an event `delay` >= 0 from now; `kind` is none of the timers'. Cost: O(log pending).
    void schedule(Ticks delay, std::uint32_t kind, std::uint32_t token);
    // Takes the next event that happens no later than `until` and moves the clock to it. False, and
    // the clock stays, when there is none. Cost: O(timers + log pending).
    [[nodiscard]] bool next(Event& event, Ticks until);
    // Moves the clock forward to `time` without an event.
    void advance_to(Ticks time);

    [[nodiscard]] Ticks now() const { return now_; }

private:
    static constexpr Ticks kNever = INT64_MAX;

    struct Timer {
        Ticks time = kNever;
        std::uint64_t order = 0;
    };
    std::vector<Timer> timers_;
    std::vector<Event> heap_;  // binary heap, earliest on top
    Ticks now_ = 0;
    std::uint64_t inserted_ = 0;
};

}  // namespace ascertain::goodput
