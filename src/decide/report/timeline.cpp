// One history of the large run as a strip: for each slice of its days, how the wall time was spent.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "decide/report/escape.hpp"
#include "decide/report/numbers.hpp"
#include "decide/report/parts.hpp"
#include "decide/report/sections.hpp"

namespace ascertain::report {
namespace {

constexpr double kWidth = 960.0;
constexpr double kHeight = 96.0;
constexpr double kMarks = 14.0;  // below the strip: what happened when
constexpr double kAxis = 16.0;

// How a state of the projection is drawn, from the floor up. Work that was kept is the floor.
struct State {
    std::string_view name;  // as the projection has it
    std::string_view label;
    std::string_view style;  // CSS class
};
constexpr std::array<State, 13> kStates{{{"useful", "running", "s-running"},
                                         {"monitoring", "monitoring", "s-monitoring"},
                                         {"straggler", "slower: stragglers", "s-straggler"},
                                         {"shrunk", "slower: nodes missing", "s-shrunk"},
                                         {"checkpoint", "checkpointing", "s-checkpoint"},
                                         {"rework", "work done again", "s-rework"},
                                         {"detection", "down, not yet noticed", "s-detection"},
                                         {"spares", "down, waiting for a node", "s-spares"},
                                         {"restart", "down, restarting", "s-restart"},
                                         {"debugging", "down, a software defect", "s-debugging"},
                                         {"maintenance", "down, maintenance", "s-maintenance"},
                                         {"outage", "down, site outage", "s-outage"},
                                         {"stage_change", "between stages", "s-stage"}}};

using Ratios = std::vector<std::optional<double>>;

double ratio_at(const Ratios& ratios, std::size_t slice) {
    return slice < ratios.size() ? std::clamp(ratios[slice].value_or(0.0), 0.0, 1.0) : 0.0;
}

struct Strip {
    std::array<Ratios, kStates.size()> ratios;
    std::size_t slices = 0;
    double slice_days = 0.0;
};

Strip read_strip(const Json& timeline) {
    Strip strip;
    strip.slice_days = number(member(timeline, "slice_days")).value_or(0.0);
    const Json& states = member(timeline, "states");
    if (!states.is_array()) return strip;
    for (const Json& state : states) {
        const std::string name = text(member(state, "name"));
        const auto found = std::ranges::find(kStates, name, &State::name);
        if (found == kStates.end()) continue;
        Ratios& into = strip.ratios[static_cast<std::size_t>(found - kStates.begin())];
        into = numbers(member(state, "ratio"));
        strip.slices = std::max(strip.slices, into.size());
    }
    return strip;
}

// One path per state: a column per slice, stacked on the states below it.
std::string columns(const Strip& strip) {
    std::vector<double> floor(strip.slices, 0.0);
    const double width = kWidth / static_cast<double>(strip.slices);
    std::string svg;
    for (std::size_t i = 0; i < kStates.size(); ++i) {
        std::string path;
        for (std::size_t slice = 0; slice < strip.slices; ++slice) {
            const double height = kHeight * ratio_at(strip.ratios[i], slice);
            if (height < 0.02) continue;
            const double top = kHeight - floor[slice] - height;
            path += fmt::format("M{:.1f} {:.2f}h{:.2f}v{:.2f}h-{:.2f}z",
                                static_cast<double>(slice) * width, top, width, height, width);
            floor[slice] += height;
        }
        if (!path.empty())
            svg += fmt::format("<path class=\"{}\" d=\"{}\"/>\n", kStates[i].style, path);
    }
    return svg;
}

// Short marks for failures, long ones for what stops a run for days, and the ends of stages.
std::string marks(const Json& moments, double days) {
    if (!moments.is_array() || days <= 0.0) return {};
    std::string failed;
    std::string grave;
    std::string ends;
    for (const Json& one : moments) {
        const auto time = number(member(one, "time_s"));
        const std::string moment = text(member(one, "moment"));
        if (!time) continue;
        const double x = kWidth * *time / (86400.0 * days);
        if (moment == "failed") failed += fmt::format("M{:.1f} {}v5", x, kHeight + 3.0);
        if (moment == "defect" || moment == "outage" || moment == "corruption_found")
            grave += fmt::format("M{:.1f} {}v10", x, kHeight + 3.0);
        if (moment == "stage_done") ends += fmt::format("M{:.1f} 0v{}", x, kHeight + kMarks);
    }
    const auto path = [](std::string_view style, const std::string& lines) {
        return lines.empty() ? std::string()
                             : fmt::format("<path class=\"{}\" d=\"{}\"/>\n", style, lines);
    };
    return path("m-failed", failed) + path("m-grave", grave) + path("m-stage", ends);
}

// The trace is cut off after many records: then the marks end before the strip does.
std::string marks_end(const Json& moments) {
    if (!moments.is_array() || moments.empty()) return {};
    const std::string last = text(member(moments.back(), "moment"));
    const auto time = number(member(moments.back(), "time_s"));
    if (last == "finished" || last == "given_up" || !time) return {};
    return fmt::format(" Only the first {} records are kept: no marks after day {:.0f}.",
                       moments.size(), *time / 86400.0);
}

std::string axis(double days) {
    std::string svg;
    constexpr int kParts = 6;
    for (int i = 0; i <= kParts; ++i) {
        const double share = static_cast<double>(i) / kParts;
        const std::string_view anchored = i == 0 ? "start" : (i == kParts ? "end" : "middle");
        svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"{}\">{:.0f} d</text>\n",
                           share * kWidth, kHeight + kMarks + kAxis - 3.0, anchored, share * days);
    }
    return svg;
}

// What each state took of the whole history, with the key to its colour.
std::string legend(const Strip& strip) {
    std::string html = "<ul class=\"legend\">\n";
    for (std::size_t i = 0; i < kStates.size(); ++i) {
        double sum = 0.0;
        for (std::size_t slice = 0; slice < strip.slices; ++slice)
            sum += ratio_at(strip.ratios[i], slice);
        if (sum <= 0.0) continue;
        html += fmt::format(
            "<li><svg viewBox=\"0 0 10 10\" aria-hidden=\"true\"><rect class=\"{}\" width=\"10\" "
            "height=\"10\"/></svg> {} <span class=\"interval\">{:.2f} %</span></li>\n",
            kStates[i].style, kStates[i].label, 100.0 * sum / static_cast<double>(strip.slices));
    }
    return html + "</ul>\n";
}

}  // namespace

std::string timeline_picture(const Json& projection) {
    const Json& timeline = member(projection, "timeline");
    const Strip strip = read_strip(timeline);
    if (strip.slices == 0 || strip.slice_days <= 0.0) return {};
    const double days = strip.slice_days * static_cast<double>(strip.slices);
    return fmt::format(
        "<h4>One history, day by day</h4>\n<div class=\"timeline\"><svg viewBox=\"0 0 {:.0f} "
        "{:.0f}\" role=\"img\" aria-label=\"How each of {} slices of one history of {:.0f} days "
        "was "
        "spent; the list below gives the shares\">\n{}{}{}</svg>\n{}</div>\n<p class=\"note\">The "
        "history of median length among {}, at the middle of all beliefs. A column is {} and shows "
        "how that time was spent. Below it: short marks are failures, long ones software defects, "
        "corruption found and site outages; a line through the strip ends a stage.{}</p>\n",
        kWidth, kHeight + kMarks + kAxis, strip.slices, days, columns(strip),
        marks(member(projection, "one_history"), days), axis(days), legend(strip),
        number(member(timeline, "chosen_from")).value_or(1.0), readable(strip.slice_days, "d"),
        marks_end(member(projection, "one_history")));
}

}  // namespace ascertain::report
