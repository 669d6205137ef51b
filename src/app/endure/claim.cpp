#include "app/endure/claim.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "app/files.hpp"
#include "predict/goodput/published.hpp"

namespace ascertain::app {
namespace {

constexpr std::size_t kFileBytesMax = std::size_t{1} << 20;
constexpr double kConfidence = 0.95;  // of the bound that needs no prior

bool broke(const evidence::Attempt& attempt) {
    using evidence::Outcome;
    return attempt.outcome == Outcome::kTimedOut || attempt.outcome == Outcome::kCrashed ||
           attempt.outcome == Outcome::kDeviceLost || attempt.outcome == Outcome::kDeviceError;
}

double value_of(const evidence::Attempt& attempt, std::string_view name) {
    const Metric* metric = find_metric(attempt.observation, name);
    return metric != nullptr ? metric->value.value_or(0.0) : 0.0;
}

std::string hours(double count) {
    return count < 10.0 ? fmt::format("{:.3g}", count) : fmt::format("{:.0f}", count);
}

}  // namespace

Result<goodput::GammaRate> failure_prior(const Home& home) {
    const std::string path = home.data("reliability/defaults.toml");
    const auto text = read_file(path, kFileBytesMax);
    if (!text) return text.error();
    const auto defaults = goodput::parse_defaults(*text, path, goodput::Platform::kUnproven);
    if (!defaults) return defaults.error();
    return defaults->failure.rate;
}

goodput::SoakEvidence soaked_in(const std::vector<evidence::Attempt>& attempts) {
    goodput::SoakEvidence soaked;
    for (const auto& attempt : attempts) {
        const bool real =
            attempt.role == evidence::Role::kMeasure && attempt.check.starts_with("soak.");
        if (!real) continue;
        if (broke(attempt)) {
            const auto devices = 1 + std::ranges::count(attempt.device, ',');
            soaked.failures += 1.0;
            soaked.device_hours +=
                attempt.duration_s * static_cast<double>(devices) / kSecondsPerHour;
        } else if (attempt.outcome == evidence::Outcome::kCompleted) {
            soaked.failures += value_of(attempt, "failures");
            soaked.device_hours += value_of(attempt, "device_hours");
        }
    }
    return soaked;
}

Result<FleetClaim> fleet_claim(const goodput::SoakEvidence& soaked, const goodput::GammaRate& prior,
                               const Campaign& campaign) {
    FleetClaim claim;
    claim.soaked = soaked;
    claim.mtbf_hours_low =
        soaked.device_hours > 0.0 ? goodput::mtbf_lower_bound_hours(soaked, kConfidence) : 0.0;
    for (const auto& fleet : campaign.fleets) claim.devices += static_cast<double>(fleet.count);
    claim.confidence = campaign.decision.confidence;
    claim.limit_per_day = campaign.decision.interruptions_per_day_at_most;
    if (!claim.limit_per_day) return claim;
    auto judged =
        goodput::judge_soak(prior, soaked, claim.devices, *claim.limit_per_day, claim.confidence);
    if (!judged) return judged.error();
    claim.claim = *std::move(judged);
    return claim;
}

std::vector<std::string> sentences_of(const FleetClaim& claim) {
    std::vector<std::string> lines;
    lines.push_back(fmt::format("{:.0f} failures in {} device-hours", claim.soaked.failures,
                                hours(claim.soaked.device_hours)));
    lines.push_back(
        fmt::format("alone, that shows an MTBF of at least {} hours for one device (95 %)",
                    hours(claim.mtbf_hours_low)));
    if (!claim.claim) {
        lines.emplace_back(
            "the campaign names no interruptions_per_day_at_most, so nothing is asked of the "
            "fleet");
        return lines;
    }
    const auto& judged = *claim.claim;
    lines.push_back(
        fmt::format("P({:.0f} devices are interrupted at most {:g} times a day) = {:.3f}; before "
                    "the soak it was "
                    "{:.3f}, and {:.1f} % of the rate's mean still comes from the prior",
                    claim.devices, *claim.limit_per_day, judged.probability,
                    judged.prior_probability, 100.0 * judged.prior_share));
    if (judged.holds) {
        lines.push_back(fmt::format("that is the confidence asked for, {:g}", claim.confidence));
    } else if (judged.reason.empty()) {
        lines.push_back(fmt::format("for {:g} it takes {} more quiet device-hours",
                                    claim.confidence, hours(judged.device_hours_needed)));
    } else {
        lines.push_back(fmt::format("{:g} is out of reach: {}", claim.confidence, judged.reason));
    }
    return lines;
}

Json to_json(const FleetClaim& claim) {
    Json document{{"failures", claim.soaked.failures},
                  {"device_hours", claim.soaked.device_hours},
                  {"mtbf_hours_low_95", finite_or_null(claim.mtbf_hours_low)},
                  {"fleet_devices", claim.devices},
                  {"confidence", claim.confidence},
                  {"interruptions_per_day_at_most",
                   claim.limit_per_day ? Json(*claim.limit_per_day) : Json()}};
    if (!claim.claim) {
        document["claim"] = nullptr;
        document["claim_reason"] = "the campaign names no limit of interruptions";
        return document;
    }
    const auto& judged = *claim.claim;
    const bool known = judged.reason.empty();
    Json entry{
        {"probability", judged.probability},
        {"prior_probability", judged.prior_probability},
        {"prior_share", judged.prior_share},
        {"holds", judged.holds},
        {"device_hours_needed", known ? finite_or_null(judged.device_hours_needed) : Json()}};
    if (!known) entry["device_hours_needed_reason"] = judged.reason;
    document["claim"] = std::move(entry);
    return document;
}

}  // namespace ascertain::app
