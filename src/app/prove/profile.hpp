// The proof profile: the checks of a qualification, asked of two small models at once, so that a
// whole pass takes seconds. docs/decisions/prove.md says what is smaller and why it may be.
#pragma once

#include <functional>

#include "app/home.hpp"
#include "app/prove/chip.hpp"
#include "measure/qualification/plan.hpp"

namespace ascertain::app {

// What is shown: one chip by itself, or several and what joins them.
enum class ProofSetting { kChip, kFabric };

[[nodiscard]] std::size_t chips_of(ProofSetting setting);

struct ProofProfile {
    checks::Profile profile = checks::Profile::kQuick;
    ProofSetting setting = ProofSetting::kChip;
    qualification::Plan plan;  // of chip_names(); no item has a control of its own
    RequestTimes usual;        // of healthy chips; empty: not known yet
};

// Captures a training step of each model of data/proofs/models on the reference of `chips`, unless
// they remember it, and plans on both every check of the profile that is about the setting: of one
// chip all that can be asked of one, of a fabric those asked of its ranks together. Errors:
// kInterrupted; kInternal when the reference cannot capture.
[[nodiscard]] Result<ProofProfile> make_profile(const Home& home, ProofChips& chips,
                                                checks::Profile profile, ProofSetting setting,
                                                std::uint64_t seed,
                                                const std::function<bool()>& stopped);

}  // namespace ascertain::app
