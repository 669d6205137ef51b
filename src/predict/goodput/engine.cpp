#include "predict/goodput/engine.hpp"

#include <algorithm>
#include <cmath>

#include "base/assert.hpp"

namespace ascertain::goodput {
namespace {

struct Later {  // std::push_heap then keeps the earliest event on top
    bool operator()(const Event& a, const Event& b) const {
        return a.time != b.time ? a.time > b.time : a.order > b.order;
    }
};

}  // namespace

Ticks ticks_from_seconds(double seconds) {
    const double ticks = seconds * kTicksPerSecond;
    if (!(ticks < static_cast<double>(kLongest))) return kLongest;
    return ticks > 0.0 ? static_cast<Ticks>(ticks + 0.5) : 0;
}

double seconds_from_ticks(Ticks ticks) {
    return static_cast<double>(ticks) / kTicksPerSecond;
}

void Engine::reset() {
    std::fill(timers_.begin(), timers_.end(), Timer{});
    heap_.clear();
    now_ = 0;
    inserted_ = 0;
}

void Engine::set_timer(std::uint32_t timer, Ticks delay) {
    ASCERTAIN_ASSERT(delay >= 0 && delay <= kLongest && now_ <= kLongest);
    timers_[timer] = {now_ + delay, inserted_++};
}

void Engine::schedule(Ticks delay, std::uint32_t kind, std::uint32_t token) {
    ASCERTAIN_ASSERT(delay >= 0 && delay <= kLongest && now_ <= kLongest);
    heap_.push_back({now_ + delay, inserted_++, kind, token});
    std::push_heap(heap_.begin(), heap_.end(), Later{});
}

bool Engine::next(Event& event, Ticks until) {
    Event first{kNever, UINT64_MAX, 0, 0};
    for (std::uint32_t timer = 0; timer < timers_.size(); ++timer) {
        const Event candidate{timers_[timer].time, timers_[timer].order, timer, 0};
        if (Later{}(first, candidate)) first = candidate;
    }
    const bool from_heap = !heap_.empty() && Later{}(first, heap_.front());
    if (from_heap) first = heap_.front();
    if (first.time > until) return false;
    if (from_heap) {
        std::pop_heap(heap_.begin(), heap_.end(), Later{});
        heap_.pop_back();
    } else {
        clear_timer(first.kind);
    }
    event = first;
    now_ = first.time;
    return true;
}

void Engine::advance_to(Ticks time) {
    ASCERTAIN_ASSERT(time >= now_);
    now_ = time;
}

}  // namespace ascertain::goodput
