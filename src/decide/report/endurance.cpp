#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "decide/report/escape.hpp"
#include "decide/report/numbers.hpp"
#include "decide/report/parts.hpp"
#include "decide/report/sections.hpp"

namespace ascertain::report {
namespace {

constexpr std::size_t kFindingsMax = 12;
constexpr std::size_t kHeatMapRanksMax = 32;
constexpr double kSlowRatio = 1.15;  // of a pair to the median of all: worth a mark

double value_or(const Json& object, std::string_view key, double otherwise) {
    return number(member(object, key)).value_or(otherwise);
}

std::string rank_cell(const Json& rank) {
    const auto known = number(rank);
    return known ? fmt::format("{:.0f}", *known)
                 : std::string(R"(<span class="missing">not to be told</span>)");
}

// What arrived wrong, and whose it was.
std::string findings_of(const evidence::Attempt& attempt) {
    const Json& findings = member(attempt.detail, "findings");
    if (!findings.is_array() || findings.empty()) return {};
    Table list{"Data that arrived wrong",
               {"Collective", "What", "#From rank", "#Seen by rank", "Bytes"},
               {},
               ""};
    for (const Json& finding : findings) {
        if (list.rows_html.size() == kFindingsMax) break;
        list.rows_html.push_back(
            {code(fmt::format("{} {}", text(member(finding, "kind")),
                              text(member(finding, "dtype")))),
             escaped(text(member(finding, "what"))), rank_cell(member(finding, "from_rank")),
             rank_cell(member(finding, "at_rank")),
             fmt::format("{:.0f} to {:.0f}", value_or(finding, "byte_begin", 0.0),
                         value_or(finding, "byte_end", 0.0))});
    }
    return fmt::format("<h4>{} on {}: the first of what arrived wrong</h4>\n{}",
                       code(attempt.check), code(attempt.device), table(list));
}

// Seconds of every collective by message size.
std::string curves_of(const evidence::Attempt& attempt) {
    const Json& curves = member(attempt.detail, "curves");
    if (!curves.is_array() || curves.empty()) return {};
    Json series = Json::array();
    Table numbers{"Collectives by size",
                  {"Collective", "#Message", "#Median", "#Tenth", "#Ninetieth"},
                  {},
                  ""};
    for (const Json& curve : curves) {
        Json points = Json::array();
        const Json& measured = member(curve, "points");
        for (std::size_t i = 0; measured.is_array() && i < measured.size(); ++i) {
            const double bytes = value_or(measured[i], "bytes", 0.0);
            const double seconds = value_or(measured[i], "seconds", 0.0);
            // A rate, so that the curve ends where the network does.
            points.push_back(
                {{"x", bytes / 1024.0}, {"y", bytes / std::max(seconds, 1e-12) / 1e6}});
            numbers.rows_html.push_back({code(text(member(curve, "kind"))), figure_text(bytes, "B"),
                                         figure_text(seconds, "s"),
                                         figure_text(value_or(measured[i], "low", 0.0), "s"),
                                         figure_text(value_or(measured[i], "high", 0.0), "s")});
        }
        series.push_back({{"name", cleaned(text(member(curve, "kind")))}, {"points", points}});
    }
    const std::string transport = text(member(attempt.detail, "transport"));
    return chart(
        {.key = "links-" + attempt.check + "@" + attempt.device,
         .title = fmt::format("Message over time, MB/s ({})",
                              transport.empty() ? "transport unknown" : transport),
         .summary = fmt::format("{} collectives, each at several message sizes. {}", curves.size(),
                                transport.starts_with("loopback")
                                    ? "Loopback has no floor to hold them against."
                                    : ""),
         .drawing = {{"kind", "lines"},
                     {"x_label", "message, KiB"},
                     {"y_label", "MB/s"},
                     {"series", std::move(series)}},
         .numbers = std::move(numbers),
         .height_px = 280});
}

// Each pair's usual time over the median of all pairs.
std::string heat_map_of(const evidence::Attempt& attempt) {
    const Json& pairs = member(attempt.detail, "pairs");
    if (!pairs.is_array() || pairs.empty()) return {};
    std::map<std::pair<int, int>, double> fastest;
    std::vector<double> all;
    int ranks = 0;
    for (const Json& pair : pairs) {
        const int first = static_cast<int>(value_or(pair, "first", 0.0));
        const int second = static_cast<int>(value_or(pair, "second", 0.0));
        const double seconds = value_or(pair, "seconds", 0.0);
        const auto [place, is_new] = fastest.emplace(std::pair{first, second}, seconds);
        if (!is_new) place->second = std::min(place->second, seconds);
        ranks = std::max({ranks, first + 1, second + 1});
        all.push_back(seconds);
    }
    if (static_cast<std::size_t>(ranks) > kHeatMapRanksMax) return {};
    std::ranges::nth_element(all, all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2));
    const double usual = std::max(all[all.size() / 2], 1e-12);
    Table map{"Pairs of ranks over the median pair", {"Rank"}, {}, ""};
    for (int rank = 0; rank < ranks; ++rank) map.columns.push_back(fmt::format("#{}", rank));
    for (int row = 0; row < ranks; ++row) {
        std::vector<std::string> cells{fmt::format("{}", row)};
        for (int column = 0; column < ranks; ++column) {
            const auto found = fastest.find(std::minmax(row, column));
            if (found == fastest.end()) {
                cells.emplace_back(row == column ? "" : R"(<span class="missing">not met</span>)");
                continue;
            }
            const double ratio = found->second / usual;
            const std::string shown = fmt::format("{:.2f}", ratio);
            cells.push_back(ratio > kSlowRatio ? mark(Tone::kOpen, shown) : shown);
        }
        map.rows_html.push_back(std::move(cells));
    }
    const std::string slow = text(member(attempt.detail, "slow"));
    return fmt::format("<h4>{} on {}: {}</h4>\n{}", code(attempt.check), code(attempt.device),
                       slow.empty() ? "no rank and no link stands out" : escaped(slow) + " is slow",
                       table(map));
}

// Step time of every device over the soak.
std::string timeline_of(const evidence::Attempt& attempt) {
    const Json& devices = member(attempt.detail, "devices");
    if (!devices.is_array() || devices.empty()) return {};
    Json series = Json::array();
    Table numbers{"Devices of the soak", {"Rank", "Device", "Bits", "#Rounds drawn"}, {}, ""};
    std::size_t alone = 0;
    for (const Json& device : devices) {
        const Json& timeline = member(device, "timeline");
        Json points = Json::array();
        for (std::size_t i = 0; timeline.is_array() && i < timeline.size(); ++i) {
            points.push_back({{"x", value_or(timeline[i], "at_s", 0.0)},
                              {"y", value_or(timeline[i], "step_s", 0.0) * 1e3}});
        }
        const Json& agrees = member(device, "agrees");
        const bool same = agrees.is_boolean() && agrees.get<bool>();
        alone += same ? 0 : 1;
        const std::string name = fmt::format("rank {:.0f}", value_or(device, "rank", 0.0));
        numbers.rows_html.push_back(
            {escaped(name), code(text(member(device, "device"))),
             same ? mark(Tone::kGood, "the majority's") : mark(Tone::kBad, "others"),
             fmt::format("{}", points.size())});
        series.push_back({{"name", name}, {"points", std::move(points)}});
    }
    return chart({.key = "soak-" + attempt.check + "@" + attempt.device,
                  .title = fmt::format("{}: time of one step, ms", attempt.check),
                  .summary = alone == 0 ? "Every device ended every round with the same bits."
                                        : fmt::format("{} of {} devices ended with other bits.",
                                                      alone, devices.size()),
                  .drawing = {{"kind", "lines"},
                              {"x_label", "seconds"},
                              {"y_label", "ms"},
                              {"series", std::move(series)}},
                  .numbers = std::move(numbers),
                  .height_px = 240});
}

}  // namespace

std::string endurance_pictures(const Material& material) {
    std::string html;
    bool asked = false;
    for (const auto& check : material.verdict().checks) {
        if (check.question != "endure") continue;
        asked = true;
        const RecordedAttempt* recorded = measured(material, check.id, check.device);
        if (recorded == nullptr) continue;
        const evidence::Attempt& attempt = recorded->attempt;
        html +=
            findings_of(attempt) + curves_of(attempt) + heat_map_of(attempt) + timeline_of(attempt);
    }
    if (asked) return html;
    return not_asked("Not asked: no link was measured and no soak was run.");
}

}  // namespace ascertain::report
