// The arithmetic of training between two events: cycles of work and checkpoint stalls, in integers.
#pragma once

#include "predict/goodput/engine.hpp"

namespace ascertain::goodput {

// How training goes on: `interval` of training, `stall` of waiting, again and again; a checkpoint
// is durable `write` after its stall.
struct Pace {
    Ticks interval = kLongest;  // > 0
    Ticks stall = 0;
    Ticks write = 0;
    double wall_per_work = 1.0;  // > 0: above 1 where steps are slower than nominal
    // So much of a cycle had passed when this stretch began: a change of pace does not put off the
    // next checkpoint. Below interval + stall.
    Ticks begun = 0;
};

// What `elapsed` of wall time brought.
struct Progress {
    Ticks training = 0;  // wall time in which steps ran
    Ticks stalled = 0;   // wall time in which training waited for checkpoints
    Ticks work = 0;      // nominal work done
    // Where the last checkpoint that became durable stands, counted in work from the beginning of
    // the stretch: negative when it was taken before. Meaningless unless any_durable.
    Ticks durable = 0;
    bool any_durable = false;
    Ticks begun = 0;  // how far into the present cycle it is now
};

[[nodiscard]] Progress progress_after(const Pace& pace, Ticks elapsed);
// Wall time until `work` is done; no checkpoint is taken at its very end.
[[nodiscard]] Ticks wall_for(const Pace& pace, Ticks work);

}  // namespace ascertain::goodput
