// Carries a plan out: the only part of measure that owns time, seeds, retries and corruption.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "measure/device/clock.hpp"
#include "measure/device/workers.hpp"
#include "measure/qualification/attempt.hpp"
#include "measure/qualification/lane.hpp"
#include "measure/qualification/plan.hpp"

namespace ascertain::qualification {

// What happens, as it happens. Called from the thread that runs the plan.
class Observer {
public:
    Observer() = default;
    Observer(const Observer&) = delete;
    Observer& operator=(const Observer&) = delete;
    virtual ~Observer() = default;

    virtual void attempt_began(const Item& item, Role role, int number) = 0;
    // `share` of the request in progress, 0 to 1.
    virtual void progressed(const Item& item, Role role, const device::Progress& progress) = 0;
    // The place to write evidence, and to foretell what the next checks will measure. An error ends
    // the run with that error.
    virtual Result<void> attempt_ended(const Item& item, const Attempt& attempt) = 0;
};

// Everything outside that a run touches.
struct World {
    device::Workers& workers;
    const device::Clock& clock;
    Observer& observer;
    // The opinion of the criteria on a completed attempt.
    std::function<Opinion(const checks::Definition& definition, const std::string& id,
                          const Observation& observation)>
        opinion;
    std::function<std::string()> time_utc;  // now, ISO 8601
    std::function<bool()> stopped;          // the user asked to stop; asked ten times a second
};

// One rank of the group: a worker, and the device that it drives. Several ranks may share a device.
struct Rank {
    std::size_t member = 0;
    std::string device;
};

struct RunQuestion {
    std::vector<std::string> devices;  // names; device i is member i of the workers ...
    std::size_t reference = 0;         // ... and this is the member that is the reference
    std::vector<Rank> group{};         // all ranks together; fewer than two: there is no group
    std::uint64_t seed = 0;
    bool seed_is_exact = false;  // first measurements take `seed` itself: to run one again
    checks::Profile profile = checks::Profile::kQuick;
    Seconds time_limit;            // past it no attempt begins; what is left is skipped
    std::string reproduce;         // start of the reproducer: "ascertain qualify my.toml"
    std::vector<Attempt> earlier;  // attempts already in evidence, when a run is resumed
};

struct RunSummary {
    bool complete = false;  // every item of the plan has been answered or skipped with a reason
    std::string reason;     // why not
    std::size_t attempts = 0;
    Seconds duration;
};

// Runs the plan to its end on all devices at once, one attempt at a time on each. Attempts judged
// on time run alone where devices share this machine's processors. A worker's death costs its
// attempt and nothing else. When stopped, workers are killed, the attempts in progress leave no
// record, and the summary says so. Errors: only those of the observer.
[[nodiscard]] Result<RunSummary> run_plan(const Plan& plan, const RunQuestion& question,
                                          const World& world);

}  // namespace ascertain::qualification
