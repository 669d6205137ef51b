// One Poisson process whose rate may change at any moment: the superposition of all devices of one
// kind, or of all defects not yet found.
#pragma once

#include <cstdint>

#include "predict/goodput/engine.hpp"
#include "predict/goodput/sampling.hpp"

namespace ascertain::goodput {

// Keeps what is left of a unit exponential and spends it at the present rate; exact for rates that
// are constant between changes, and smooth in the rate under the same random numbers.
// Source: time rescaling, Daley and Vere-Jones, Theorem 7.4.I.
class Arrivals {
public:
    // Its arrivals are firings of the engine's timer `timer`.
    Arrivals(std::uint32_t timer, Random random) : random_(random), timer_(timer) {
        unit_left_ = draw_exponential(random_);
    }

    void set_rate(Engine& engine, double rate_per_s) {
        if (rate_per_s == rate_per_s_) return;
        const double spent = rate_per_s_ * seconds_from_ticks(engine.now() - since_);
        unit_left_ = unit_left_ > spent ? unit_left_ - spent : 0.0;
        rate_per_s_ = rate_per_s;
        wait(engine);
    }
    // After an arrival: begins to wait for the next one.
    void renew(Engine& engine) {
        unit_left_ = draw_exponential(random_);
        wait(engine);
    }

private:
    void wait(Engine& engine) {
        since_ = engine.now();
        if (rate_per_s_ > 0.0) {
            engine.set_timer(timer_, ticks_from_seconds(unit_left_ / rate_per_s_));
        } else {
            engine.clear_timer(timer_);
        }
    }

    Random random_;
    double unit_left_ = 0.0;
    double rate_per_s_ = 0.0;
    Ticks since_ = 0;
    std::uint32_t timer_;
};

}  // namespace ascertain::goodput
