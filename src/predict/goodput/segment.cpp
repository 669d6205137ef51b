#include "predict/goodput/segment.hpp"

#include <algorithm>
#include <cmath>

namespace ascertain::goodput {
namespace {

Ticks scaled(Ticks ticks, double factor) {
    return ticks_from_seconds(static_cast<double>(ticks) * factor / kTicksPerSecond);
}

}  // namespace

Progress progress_after(const Pace& pace, Ticks elapsed) {
    const Ticks cycle = pace.interval + pace.stall;
    const Ticks cycles = elapsed / cycle;
    Progress progress;
    progress.training = cycles * pace.interval + std::min(elapsed % cycle, pace.interval);
    progress.stalled = elapsed - progress.training;
    progress.work = scaled(progress.training, 1.0 / pace.wall_per_work);
    const Ticks durable_cycles = elapsed >= pace.write ? (elapsed - pace.write) / cycle : 0;
    progress.any_durable = durable_cycles > 0;
    progress.durable =
        std::min(progress.work, scaled(durable_cycles * pace.interval, 1.0 / pace.wall_per_work));
    return progress;
}

Ticks wall_for(const Pace& pace, Ticks work) {
    const Ticks training = std::max<Ticks>(scaled(work, pace.wall_per_work), 1);
    const Ticks checkpoints = (training - 1) / pace.interval;
    if (pace.stall > 0 && checkpoints > kLongest / pace.stall) return kLongest;
    return std::min(kLongest, training + checkpoints * pace.stall);
}

}  // namespace ascertain::goodput
