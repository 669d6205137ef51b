#include "app/calibration.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "decide/evidence/records.hpp"
#include "predict/catalog/chip.hpp"

namespace ascertain::app {
namespace {

constexpr std::string_view kCalibration = "speed.calibration";

bool counts(const evidence::Attempt& attempt) {
    const bool real =
        attempt.role == evidence::Role::kMeasure || attempt.role == evidence::Role::kConfirm;
    return real && attempt.outcome == evidence::Outcome::kCompleted;
}

std::optional<double> value_of(const Observation& observation, std::string_view name) {
    const Metric* metric = find_metric(observation, name);
    return metric != nullptr ? metric->value : std::nullopt;
}

// The timed cases spread as much as their shapes do, so the overall rate and the best one bound
// what the device is; the worst is as far below the overall rate as the best is above it.
std::optional<MeasuredRange> matmul_of(const evidence::Attempt& attempt,
                                       const std::string& record) {
    const auto overall = value_of(attempt.observation, "achieved_flops_per_s");
    const auto best = value_of(attempt.observation, "achieved_flops_per_s_max");
    if (!overall || !best || !(*overall > 0.0) || !(*best >= *overall)) return std::nullopt;
    const auto cases = value_of(attempt.observation, "cases_timed").value_or(0.0);
    return MeasuredRange{*overall, *best, *best, static_cast<std::int64_t>(cases), record};
}

std::optional<MeasuredRange> stream_of(const evidence::Attempt& attempt,
                                       const std::string& record) {
    const auto rate = value_of(attempt.observation, "achieved_bytes_per_s");
    if (!rate || !(*rate > 0.0)) return std::nullopt;
    const double noise =
        std::clamp(value_of(attempt.observation, "noise_ratio").value_or(0.0), 0.0, 3.0);
    return MeasuredRange{*rate / (1.0 + noise), *rate, *rate * (1.0 + noise), 1, record};
}

// A soak says how many device-hours it lasted and what failed in them.
void add_soak(DeviceMeasurements& device, const evidence::Attempt& attempt) {
    const auto hours = value_of(attempt.observation, "device_hours");
    if (!hours) return;
    device.soak.device_hours += *hours;
    for (const auto* name : {"failures", "interruptions"}) {
        if (const auto failures = value_of(attempt.observation, name)) {
            device.soak.failures += *failures;
            return;
        }
    }
}

toml::table figure(const MeasuredRange& range, double scale, const char* unit,
                   const std::string& source) {
    toml::table table{
        {"value", range.mid / scale}, {"unit", unit}, {"kind", "measured"}, {"source", source}};
    if (range.high > range.low) {
        table.insert("low", range.low / scale);
        table.insert("high", range.high / scale);
    }
    table.is_inline(true);
    return table;
}

toml::table& section(toml::table& root, std::string_view name) {
    if (!root.contains(name)) root.insert(name, toml::table{});
    return *root[name].as_table();
}

void put(toml::table& root, std::string_view part, std::string_view key, toml::table value) {
    section(root, part).insert_or_assign(key, std::move(value));
}

void put_matmul(toml::table& root, const catalog::Chip& base, const MeasuredRange& range,
                const std::string& source) {
    const MeasuredRange best{range.mid, range.mid, range.mid, range.cases, range.record};
    put(root, "bf16_matmul_achieved", "rate", figure(best, 1e12, "TFLOP/s", source));
    section(root, "bf16_matmul_achieved")
        .insert_or_assign("note",
                          fmt::format("best of {} timed cases; {:.4g} TFLOP/s over all of them",
                                      range.cases, range.low / 1e12));
    const auto& peak = base.peak(catalog::Format::kBf16);
    if (!peak.known() || !(range.mid <= peak.value->count)) {
        // Faster than the printed peak, or no peak printed: what was measured bounds it from below.
        put(root, "peak_dense", "bf16", figure(best, 1e12, "TFLOP/s", source));
        put(root, "bf16_matmul_achieved", "fraction",
            figure({1.0, 1.0, 1.0, 1, ""}, 1.0, "fraction of peak", source));
        put(root, "bf16_matmul_achieved", "peak_used", figure(best, 1e12, "TFLOP/s", source));
        return;
    }
    const double fraction = range.mid / peak.value->count;
    put(root, "bf16_matmul_achieved", "fraction",
        figure({fraction, fraction, fraction, 1, ""}, 1.0, "fraction of peak", source));
    const double used = peak.value->count;
    put(root, "bf16_matmul_achieved", "peak_used",
        figure({used, used, used, 1, ""}, 1e12, "TFLOP/s", "denominator of the fraction"));
}

// The posterior's 10 %, and 90 %, of device-hours between interruptions.
void put_failures(toml::table& root, const goodput::GammaRate& prior,
                  const goodput::SoakEvidence& soak, const std::string& source) {
    const goodput::GammaRate rate = goodput::updated(prior, soak);
    put(root, "reliability", "device_hours_between_interruptions",
        figure(
            {1.0 / rate.quantile(0.9), 1.0 / rate.quantile(0.5), 1.0 / rate.quantile(0.1), 1, ""},
            1.0, "h",
            fmt::format("{}: {:.0f} failures in {:.4g} device-hours of soak; {:.0f} % of the "
                        "mean is the prior's",
                        source, soak.failures, soak.device_hours,
                        100.0 * goodput::prior_share(prior, soak))));
}

}  // namespace

Result<std::vector<DeviceMeasurements>> measurements_in(
    const std::vector<evidence::Record>& records) {
    std::vector<DeviceMeasurements> devices;
    const auto at = [&devices](const std::string& name) -> DeviceMeasurements& {
        const auto found = std::ranges::find(devices, name, &DeviceMeasurements::device);
        if (found != devices.end()) return *found;
        devices.push_back({name, {}, {}, {}, {}});
        return devices.back();
    };
    std::map<std::string, evidence::Prediction> foretold;  // by check, device and metric
    const auto key = [](const std::string& check, const std::string& device,
                        const std::string& metric) {
        return check + "\n" + device + "\n" + metric;
    };
    for (const auto& record : records) {
        if (record.kind == "prediction") {
            const auto prediction = evidence::prediction_from_json(record.body, record.id());
            if (!prediction) return prediction.error();
            foretold.insert_or_assign(
                key(prediction->check, prediction->device, prediction->metric), *prediction);
        }
        if (record.kind != "attempt") continue;
        const auto attempt = evidence::attempt_from_json(record.body, record.id());
        if (!attempt) return attempt.error();
        if (!counts(*attempt)) continue;
        if (attempt->check == kCalibration) {
            at(attempt->device).matmul_flops_per_s = matmul_of(*attempt, record.id());
            at(attempt->device).streamed_bytes_per_s = stream_of(*attempt, record.id());
        } else if (attempt->check.starts_with("soak.")) {
            add_soak(at(attempt->device), *attempt);
        }
        for (const auto& metric : attempt->observation) {
            const auto found = foretold.find(key(attempt->check, attempt->device, metric.metric));
            if (found == foretold.end() || !metric.value) continue;
            const auto& prediction = found->second;
            if (*metric.value >= prediction.low && *metric.value <= prediction.high) continue;
            at(attempt->device)
                .outside.push_back(fmt::format("{}: measured {:.4g} {}, foretold {:.4g} to {:.4g}",
                                               prediction.id, *metric.value, metric.unit,
                                               prediction.low, prediction.high));
        }
    }
    std::erase_if(devices, [](const DeviceMeasurements& device) {
        return !device.matmul_flops_per_s && !device.streamed_bytes_per_s &&
               device.soak.device_hours <= 0.0;
    });
    return devices;
}

Result<std::string> calibrated_chip(std::string_view base_text, const std::string& base_name,
                                    const DeviceMeasurements& measured,
                                    const goodput::GammaRate& prior,
                                    const std::string& evidence_directory) {
    const bool anything = measured.matmul_flops_per_s || measured.streamed_bytes_per_s ||
                          measured.soak.device_hours > 0.0;
    if (!anything) {
        return Error{ErrorCode::kUnsupported, "nothing that belongs into a chip file was measured",
                     measured.device};
    }
    const auto base = catalog::parse_chip(base_text, base_name);
    if (!base) return base.error();
    toml::table root = toml::parse(base_text, base_name);
    const auto source = [&](const std::string& record) {
        return fmt::format("{} on {}{}{}", evidence_directory, measured.device,
                           record.empty() ? "" : ", ", record);
    };
    // The id stays: constants fitted to this die go with it, and a file of the user's replaces
    // ours.
    root.insert_or_assign("name", base->name + ", calibrated");
    if (const auto& range = measured.matmul_flops_per_s)
        put_matmul(root, *base, *range, source(range->record));
    if (const auto& range = measured.streamed_bytes_per_s)
        put(root, "memory", "bandwidth", figure(*range, 1e9, "GB/s", source(range->record)));
    if (measured.soak.device_hours > 0.0) put_failures(root, prior, measured.soak, source(""));
    std::ostringstream text;
    text << "# Written by `ascertain calibrate`; figures of kind \"measured\" that name evidence "
            "are "
            "this device's.\n"
         << root << "\n";
    const auto checked = catalog::parse_chip(text.str(), "the calibrated chip");
    if (!checked) return checked.error();
    return text.str();
}

}  // namespace ascertain::app
