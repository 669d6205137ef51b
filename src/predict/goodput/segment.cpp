#include "predict/goodput/segment.hpp"

#include <algorithm>
#include <cmath>

namespace ascertain::goodput {
namespace {

Ticks scaled(Ticks ticks, double factor) {
    return ticks_from_seconds(static_cast<double>(ticks) * factor / kTicksPerSecond);
}

// Training in the first `passed` of wall time since a cycle began.
Ticks trained(const Pace& pace, Ticks passed) {
    const Ticks cycle = pace.interval + pace.stall;
    return passed / cycle * pace.interval + std::min(passed % cycle, pace.interval);
}

}  // namespace

Progress progress_after(const Pace& pace, Ticks elapsed) {
    const Ticks cycle = pace.interval + pace.stall;
    const Ticks passed = pace.begun + elapsed;
    const Ticks before = trained(pace, pace.begun);
    Progress progress;
    progress.training = trained(pace, passed) - before;
    progress.stalled = elapsed - progress.training;
    progress.work = scaled(progress.training, 1.0 / pace.wall_per_work);
    progress.begun = passed % cycle;
    progress.any_durable = passed >= pace.write;
    if (progress.any_durable) {
        const Ticks at = (passed - pace.write) / cycle * pace.interval - before;
        progress.durable = at >= 0 ? std::min(progress.work, scaled(at, 1.0 / pace.wall_per_work))
                                   : -scaled(-at, 1.0 / pace.wall_per_work);
    }
    return progress;
}

Ticks wall_for(const Pace& pace, Ticks work) {
    const Ticks training =
        trained(pace, pace.begun) + std::max<Ticks>(scaled(work, pace.wall_per_work), 1);
    const Ticks checkpoints = (training - 1) / pace.interval;
    if (pace.stall > 0 && checkpoints > kLongest / pace.stall) return kLongest;
    return std::min(kLongest, training + checkpoints * pace.stall - pace.begun);
}

}  // namespace ascertain::goodput
