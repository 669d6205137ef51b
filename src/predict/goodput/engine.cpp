#include "predict/goodput/engine.hpp"

#include <algorithm>
#include <cmath>

#include "base/assert.hpp"

namespace ascertain::goodput {
namespace {

// True when `a` happens after `b`; std::push_heap then keeps the earliest event on top.
bool later(const Event& a, const Event& b) {
    return a.time != b.time ? a.time > b.time : a.order > b.order;
}

}  // namespace

Ticks ticks_from_seconds(double seconds) {
    if (!(seconds * kTicksPerSecond < static_cast<double>(kLongest))) return kLongest;
    return seconds > 0.0 ? static_cast<Ticks>(std::llround(seconds * kTicksPerSecond)) : 0;
}

double seconds_from_ticks(Ticks ticks) {
    return static_cast<double>(ticks) / kTicksPerSecond;
}

void Engine::reset() {
    heap_.clear();
    now_ = 0;
    inserted_ = 0;
    handled_ = 0;
}

void Engine::schedule(Ticks delay, std::uint32_t kind, std::uint32_t token) {
    ASCERTAIN_ASSERT(delay >= 0 && delay <= kLongest && now_ <= kLongest);
    heap_.push_back({now_ + delay, inserted_++, kind, token});
    std::push_heap(heap_.begin(), heap_.end(), later);
}

bool Engine::next(Event& event, Ticks until) {
    if (heap_.empty() || heap_.front().time > until) return false;
    std::pop_heap(heap_.begin(), heap_.end(), later);
    event = heap_.back();
    heap_.pop_back();
    now_ = event.time;
    ++handled_;
    return true;
}

void Engine::advance_to(Ticks time) {
    ASCERTAIN_ASSERT(time >= now_);
    now_ = time;
}

}  // namespace ascertain::goodput
