#include "predict/goodput/history.hpp"

#include <fmt/format.h>

#include <iterator>

namespace ascertain::goodput {

std::string_view name_of(Share share) {
    constexpr std::array<std::string_view, kShares> kNames = {
        "useful", "rework",  "straggler", "shrunk",      "monitoring", "checkpoint",  "detection",
        "spares", "restart", "debugging", "maintenance", "outage",     "stage_change"};
    return kNames[static_cast<std::size_t>(share)];
}

std::string_view name_of(Cause cause) {
    constexpr std::array<std::string_view, kCauses> kNames = {"site", "software_defect",
                                                              "slow_device", "planned"};
    return kNames[static_cast<std::size_t>(cause)];
}

std::string_view name_of(Moment moment) {
    constexpr std::array<std::string_view, 17> kNames = {
        "failed",     "corrupted",   "slowed",     "outage",         "defect",   "detected",
        "shrunk",     "waiting",     "restarted",  "restart_failed", "repaired", "corruption_found",
        "slow_found", "maintenance", "stage_done", "finished",       "given_up"};
    return kNames[static_cast<std::size_t>(moment)];
}

std::string trace_text(const Trace& trace) {
    std::string text;
    for (const TraceRecord& record : trace) {
        fmt::format_to(std::back_inserter(text), "{} {} {} {}\n", record.time,
                       name_of(record.moment), record.detail, record.position);
    }
    return text;
}

}  // namespace ascertain::goodput
