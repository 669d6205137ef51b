// What the soaks of a run prove about the fleet, with the prior's share named.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/campaign.hpp"
#include "app/home.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "decide/evidence/records.hpp"
#include "predict/goodput/soak.hpp"

namespace ascertain::app {

// The belief about an unproven chip's failures before any soak (data/reliability/defaults.toml).
[[nodiscard]] Result<goodput::GammaRate> failure_prior(const Home& home);

// Failures and device-hours of every soak.* attempt that was a measurement. One that broke counts
// one failure and the time it ran.
[[nodiscard]] goodput::SoakEvidence soaked_in(const std::vector<evidence::Attempt>& attempts);

struct FleetClaim {
    goodput::SoakEvidence soaked;
    double mtbf_hours_low = 0.0;  // of one device, 95 %, from the evidence alone
    double devices = 0.0;         // of the fleet
    double confidence = 0.0;      // that the campaign asks for
    std::optional<double> limit_per_day;
    std::optional<goodput::SoakClaim> claim;  // only with a limit
};
[[nodiscard]] Result<FleetClaim> fleet_claim(const goodput::SoakEvidence& soaked,
                                             const goodput::GammaRate& prior,
                                             const Campaign& campaign);

// In words, a line each; and as ascertain.soak/1 has it.
[[nodiscard]] std::vector<std::string> sentences_of(const FleetClaim& claim);
[[nodiscard]] Json to_json(const FleetClaim& claim);

}  // namespace ascertain::app
