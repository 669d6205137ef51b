// Shows the checks one chip and writes down which of them fail.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "app/home.hpp"
#include "app/prove/chip.hpp"
#include "app/prove/profile.hpp"
#include "decide/judge/criteria.hpp"
#include "decide/judge/verdict.hpp"
#include "measure/qualification/attempt.hpp"

namespace ascertain::app {

// How often the armed defect's conditions held, and how often it did something, in all processes.
struct Counts {
    std::int64_t matched = 0;
    std::int64_t fired = 0;
};

// One chip, after its checks.
struct Exposure {
    std::vector<judge::CheckVerdict> checks;  // that were asked, in the order of their ends
    std::vector<qualification::Attempt> attempts;
    Counts counts;
    RequestTimes taken;        // the longest answers of the chip, by kind of request
    bool caught = false;       // a creditable check failed after the defect had fired
    bool interrupted = false;  // by the user; nothing can be said then
    Seconds duration;
    Seconds caught_after;  // when caught
};

struct ExposureQuestion {
    std::uint64_t seed = 1;
    bool stop_at_catch = true;
    // Checks whose failure counts as a catch: those that pass on the healthy chip at this seed.
    std::set<std::string> creditable;
};

// What a proof shares between its chips.
struct ProofBench {
    const Home& home;
    const judge::CriteriaSet& criteria;
    ReferenceAnswers& answers;
    std::string scratch;  // an empty folder
    std::function<bool()> stopped;
};

// Errors: kBadInput when the chip refuses what it is armed with; kEnvironment when no worker
// starts.
[[nodiscard]] Result<Exposure> expose(const ProofBench& bench, const ProofProfile& profile,
                                      Arming arming, const ExposureQuestion& question);

// A status that stops a qualification.
[[nodiscard]] bool is_failure(const judge::CheckVerdict& check);

}  // namespace ascertain::app
