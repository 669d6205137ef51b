// The proof profile: the checks of a qualification, asked of two small models at once, so that a
// whole pass takes seconds. docs/decisions/prove.md says what is smaller and why it may be.
#pragma once

#include <functional>

#include "app/home.hpp"
#include "app/prove/chip.hpp"
#include "measure/qualification/plan.hpp"

namespace ascertain::app {

struct ProofProfile {
    checks::Profile profile = checks::Profile::kQuick;
    qualification::Plan plan;  // of "simulated:0"; no item has a control of its own
    RequestTimes usual;        // of the healthy chip; empty: not known yet
};

// Captures a training step of each model of data/proofs/models on the reference of `chip`, unless
// `chip` remembers it, and plans every check of the profile on both. Errors: kInterrupted;
// kInternal when the reference cannot capture.
[[nodiscard]] Result<ProofProfile> make_profile(const Home& home, ProofChip& chip,
                                                checks::Profile profile,
                                                const std::function<bool()>& stopped);

}  // namespace ascertain::app
