#include "app/calibration.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "app/endure/claim.hpp"
#include "base/text.hpp"
#include "decide/evidence/records.hpp"

namespace ascertain::app {
namespace {

using Foretold = std::map<std::string, evidence::Prediction>;  // by check, device and metric

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

std::optional<MeasuredRange> checkpoint_rate(const evidence::Attempt& attempt,
                                             std::string_view seconds_name,
                                             const std::string& record) {
    const auto bytes = value_of(attempt.observation, "checkpoint_bytes");
    const auto seconds = value_of(attempt.observation, seconds_name);
    if (!bytes || !seconds || !(*bytes > 0.0) || !(*seconds > 0.0)) return std::nullopt;
    const double rate = *bytes / *seconds;
    return MeasuredRange{rate, rate, rate, 1, record};
}

// From the middles of all kinds the middle one, from their lows and highs the outermost.
MeasuredRange over_kinds(const std::vector<const Metric*>& metrics, const std::string& record) {
    std::vector<double> middles;
    MeasuredRange range;
    range.low = *metrics.front()->value;
    range.record = record;
    for (const Metric* metric : metrics) {
        middles.push_back(*metric->value);
        range.low = std::min(range.low, metric->low.value_or(*metric->value));
        range.high = std::max(range.high, metric->high.value_or(*metric->value));
    }
    std::ranges::sort(middles);
    range.mid = middles[middles.size() / 2];
    range.cases = static_cast<std::int64_t>(middles.size());
    return range;
}

bool across_nodes(const std::vector<std::string>& members) {
    std::set<std::string> nodes;
    for (const auto& member : members) {
        const auto slash = member.find('/');
        nodes.insert(slash == std::string::npos ? "" : member.substr(0, slash));
    }
    return nodes.size() > 1;
}

// The kinds of collective that training waits for.
std::optional<LinkMeasurement> links_of(const evidence::Attempt& attempt,
                                        const std::vector<std::string>& members,
                                        const std::string& record) {
    constexpr std::array kKinds{"all_reduce", "all_gather", "reduce_scatter", "all_to_all",
                                "send_recv"};
    std::vector<const Metric*> rates;
    std::vector<const Metric*> latencies;
    LinkMeasurement link;
    for (const std::string kind : kKinds) {
        const Metric* rate = find_metric(attempt.observation, kind + "_bus_bytes_per_s");
        const Metric* latency = find_metric(attempt.observation, kind + "_latency_s");
        if (rate == nullptr || !rate->value || !(*rate->value > 0.0)) continue;
        rates.push_back(rate);
        const bool timed = latency != nullptr && latency->value;
        if (timed) latencies.push_back(latency);
        link.kinds.push_back(
            fmt::format("{} {:.3g} GB/s{}", kind, *rate->value / 1e9,
                        timed ? fmt::format(" and {:.3g} us", *latency->value * 1e6) : ""));
    }
    if (rates.empty() || latencies.empty()) return std::nullopt;
    link.bus_bytes_per_s = over_kinds(rates, record);
    link.latency_s = over_kinds(latencies, record);
    link.ranks = static_cast<std::int64_t>(
        value_of(attempt.observation, "ranks").value_or(static_cast<double>(members.size())));
    link.across_nodes = across_nodes(members);
    link.backend = attempt.detail.value("backend", "");
    return link;
}

// Later evidence of the same span replaces earlier.
void put_link(std::vector<LinkMeasurement>& links, LinkMeasurement link) {
    std::erase_if(
        links, [&](const LinkMeasurement& old) { return old.across_nodes == link.across_nodes; });
    links.push_back(std::move(link));
}

void add_completed(DeviceMeasurements& device, const evidence::Attempt& attempt,
                   const std::vector<std::string>& members, const std::string& record) {
    if (attempt.check == "speed.calibration") {
        device.matmul_flops_per_s = matmul_of(attempt, record);
        device.streamed_bytes_per_s = stream_of(attempt, record);
    } else if (attempt.check == "links.speed") {
        if (auto link = links_of(attempt, members, record))
            put_link(device.links, *std::move(link));
    } else if (attempt.check == "trial.resume") {
        device.checkpoint_write_bytes_per_s = checkpoint_rate(attempt, "checkpoint_save", record);
        device.checkpoint_read_bytes_per_s = checkpoint_rate(attempt, "checkpoint_load", record);
    }
}

std::string prediction_key(const std::string& check, const std::string& device,
                           const std::string& metric) {
    return check + "\n" + device + "\n" + metric;
}

void add_misses(DeviceMeasurements& device, const evidence::Attempt& attempt,
                const Foretold& foretold) {
    for (const auto& metric : attempt.observation) {
        const auto found =
            foretold.find(prediction_key(attempt.check, attempt.device, metric.metric));
        if (found == foretold.end() || !metric.value) continue;
        const auto& prediction = found->second;
        if (*metric.value >= prediction.low && *metric.value <= prediction.high) continue;
        device.outside.push_back(fmt::format("{}: measured {:.4g} {}, foretold {:.4g} to {:.4g}",
                                             prediction.id, *metric.value, metric.unit,
                                             prediction.low, prediction.high));
    }
}

DeviceMeasurements& at(std::vector<DeviceMeasurements>& devices, const std::string& name) {
    const auto found = std::ranges::find(devices, name, &DeviceMeasurements::device);
    if (found != devices.end()) return *found;
    DeviceMeasurements fresh;
    fresh.device = name;
    devices.push_back(std::move(fresh));
    return devices.back();
}

// The devices of an attempt, each once: "npu:0,npu:1" are two, "cpu,cpu" is one.
std::vector<std::string> members_of(const evidence::Attempt& attempt) {
    std::vector<std::string> members;
    for (std::size_t from = 0; from <= attempt.device.size();) {
        const std::size_t to = std::min(attempt.device.find(',', from), attempt.device.size());
        std::string member = attempt.device.substr(from, to - from);
        if (std::ranges::find(members, member) == members.end())
            members.push_back(std::move(member));
        from = to + 1;
    }
    return members;
}

}  // namespace

bool DeviceMeasurements::anything() const {
    return matmul_flops_per_s || streamed_bytes_per_s || !links.empty() ||
           checkpoint_write_bytes_per_s || checkpoint_read_bytes_per_s || soak.device_hours > 0.0;
}

const LinkMeasurement* DeviceMeasurements::link(bool across) const {
    const auto found = std::ranges::find(links, across, &LinkMeasurement::across_nodes);
    return found == links.end() ? nullptr : &*found;
}

Result<std::vector<DeviceMeasurements>> measurements_in(
    const std::vector<evidence::Record>& records, const std::string& directory,
    std::vector<DeviceMeasurements> devices) {
    Foretold foretold;
    for (const auto& record : records) {
        if (record.kind == "prediction") {
            const auto prediction = evidence::prediction_from_json(record.body, record.id());
            if (!prediction) return prediction.error();
            foretold.insert_or_assign(
                prediction_key(prediction->check, prediction->device, prediction->metric),
                *prediction);
        }
        if (record.kind != "attempt") continue;
        const auto attempt = evidence::attempt_from_json(record.body, record.id());
        if (!attempt) return attempt.error();
        const auto soaked = soaked_in({*attempt});
        const auto members = members_of(*attempt);
        for (const auto& member : members) {
            const std::string source =
                fmt::format("{} on {}, {}", directory, attempt->device, record.id());
            DeviceMeasurements& device = at(devices, member);
            if (soaked.device_hours > 0.0) {
                device.soak.device_hours += soaked.device_hours;
                device.soak.failures += soaked.failures;
                device.soak_record = source;
            }
            if (!counts(*attempt)) continue;
            add_completed(device, *attempt, members, source);
            add_misses(device, *attempt, foretold);
        }
    }
    std::erase_if(devices, [](const DeviceMeasurements& device) { return !device.anything(); });
    return devices;
}

}  // namespace ascertain::app
