#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "decide/report/escape.hpp"
#include "decide/report/numbers.hpp"
#include "decide/report/parts.hpp"
#include "decide/report/sections.hpp"
#include "decide/report/trial_tables.hpp"

namespace ascertain::report {
namespace {

constexpr std::size_t kPointsMax = 400;  // of one curve in the drawing
constexpr std::size_t kTensorsMax = 12;

using Series = std::vector<std::optional<double>>;

// One training run as its check left it: {losses[], grad_norms[]}, one entry per step.
struct Run {
    std::string name;  // "device", "reference"
    Series losses;
    Series grad_norms;
};

// The steps to draw: all of a short curve; of a long one the lowest, the highest and any value that
// is not finite in each of equal stretches, so that no spike and no NaN is smoothed away.
std::vector<std::size_t> steps_to_draw(const Series& series) {
    std::vector<std::size_t> steps;
    const std::size_t stretch = std::max<std::size_t>(1, series.size() * 3 / kPointsMax);
    for (std::size_t begin = 0; begin < series.size(); begin += stretch) {
        const std::size_t end = std::min(series.size(), begin + stretch);
        std::size_t lowest = end;
        std::size_t highest = end;
        std::size_t missing = end;
        for (std::size_t i = begin; i < end; ++i) {
            if (!series[i]) {
                missing = i;
                continue;
            }
            if (lowest == end || *series[i] < *series[lowest]) lowest = i;
            if (highest == end || *series[i] > *series[highest]) highest = i;
        }
        std::vector<std::size_t> picked{lowest, highest, missing};
        std::ranges::sort(picked);
        for (const std::size_t i : picked) {
            if (i < end && (steps.empty() || steps.back() != i)) steps.push_back(i);
        }
    }
    return steps;
}

Json series_json(const std::string& name, const Series& series) {
    Json points = Json::array();
    for (const std::size_t step : steps_to_draw(series)) {
        points.push_back({{"x", step + 1}, {"y", series[step] ? Json(*series[step]) : Json()}});
    }
    return {{"name", cleaned(name)}, {"points", std::move(points)}};
}

std::size_t not_finite(const Series& series) {
    return static_cast<std::size_t>(
        std::ranges::count_if(series, [](const auto& value) { return !value.has_value(); }));
}

// Mean of the last tenth of the known values, at least one of them.
std::optional<double> tail_mean(const Series& series) {
    if (series.empty()) return std::nullopt;
    const std::size_t length = std::max<std::size_t>(1, series.size() / 10);
    double sum = 0.0;
    std::size_t n = 0;
    for (std::size_t i = series.size() - length; i < series.size(); ++i) {
        if (!series[i]) continue;
        sum += *series[i];
        ++n;
    }
    return n == 0 ? std::nullopt : std::optional(sum / static_cast<double>(n));
}

std::string curve_chart(const std::string& key, const std::string& title, const std::string& unit,
                        const std::vector<Run>& runs, Series Run::*which) {
    Json series = Json::array();
    Table numbers{
        title, {"Run", "#Steps", "#First", "#Mean of the last tenth", "#Not finite"}, {}, ""};
    std::string summary;
    for (const Run& run : runs) {
        const Series& values = run.*which;
        if (values.empty()) continue;
        series.push_back(series_json(run.name, values));
        const auto shown = [&](const std::optional<double>& value) {
            return value ? figure_text(*value, unit) : std::string("not finite");
        };
        numbers.rows_html.push_back({escaped(run.name), fmt::format("{}", values.size()),
                                     shown(values.front()), shown(tail_mean(values)),
                                     fmt::format("{}", not_finite(values))});
        const auto end = tail_mean(values);
        summary += fmt::format("{} ends at {} over {} steps. ", run.name,
                               end ? readable(*end, unit) : "no finite value", values.size());
    }
    if (series.empty()) return {};
    return chart({.key = key,
                  .title = title,
                  .summary = summary,
                  .drawing = {{"kind", "lines"},
                              {"x_label", "step"},
                              {"y_label", unit},
                              {"series", std::move(series)}},
                  .numbers = std::move(numbers),
                  .height_px = 280});
}

void add_run(std::vector<Run>& runs, const std::string& name, const Json& document) {
    Run run{name, numbers(member(document, "losses")), numbers(member(document, "grad_norms"))};
    if (!run.losses.empty() || !run.grad_norms.empty()) runs.push_back(std::move(run));
}

// The runs an attempt's detail holds: under `device` and `reference`, in a list `runs` of named
// ones, or itself one run of the device.
std::vector<Run> runs_in(const Json& detail) {
    std::vector<Run> runs;
    add_run(runs, "device", member(detail, "device"));
    add_run(runs, "reference", member(detail, "reference"));
    const Json& list = member(detail, "runs");
    for (std::size_t i = 0; list.is_array() && i < list.size(); ++i) {
        const std::string name = text(member(list[i], "name"));
        add_run(runs, name.empty() ? fmt::format("run {}", i + 1) : name, list[i]);
    }
    if (runs.empty()) add_run(runs, "device", detail);
    return runs;
}

// Device minus reference, where both are known.
Series difference(const Series& device, const Series& reference) {
    Series result;
    for (std::size_t i = 0; i < std::min(device.size(), reference.size()); ++i) {
        result.push_back(device[i] && reference[i] ? std::optional(*device[i] - *reference[i])
                                                   : std::nullopt);
    }
    return result;
}

std::string curves_of(const RecordedAttempt& recorded) {
    const auto& attempt = recorded.attempt;
    std::vector<Run> runs = runs_in(attempt.detail);
    if (runs.empty()) return {};
    const std::string key = attempt.check + "@" + attempt.device;
    std::string charts =
        curve_chart("loss-" + key, "Loss, nats per token", "nat", runs, &Run::losses);
    charts +=
        curve_chart("norm-" + key, "Gradient norm before clipping", "", runs, &Run::grad_norms);
    if (runs.size() == 2) {
        const std::vector<Run> apart{{fmt::format("{} minus {}", runs[0].name, runs[1].name),
                                      difference(runs[0].losses, runs[1].losses),
                                      {}}};
        charts +=
            curve_chart("apart-" + key, "Loss apart, nats per token", "nat", apart, &Run::losses);
    }
    return fmt::format("<h4>{} on {}</h4>\n<div class=\"multiples\">\n{}</div>\n",
                       code(attempt.check), code(attempt.device), charts);
}

// Teacher-forced comparison: the tensors that differ most, worst first as the worker sends them.
std::string tensors_of(const RecordedAttempt& recorded) {
    const auto& attempt = recorded.attempt;
    const Json& tensors = member(attempt.detail, "tensors");
    if (!tensors.is_array() || tensors.empty()) return {};
    Table list{
        "Tensors that differ most", {"Tensor", "#Relative error", "#One minus cosine"}, {}, ""};
    for (const Json& tensor : tensors) {
        if (list.rows_html.size() == kTensorsMax) break;
        const auto shown = [&](std::string_view key) {
            const auto value = number(member(tensor, key));
            return value ? figure_text(*value, "")
                         : std::string(R"(<span class="missing">unknown</span>)");
        };
        const std::string name = text(member(tensor, "name"));
        list.rows_html.push_back({name.empty() ? "unnamed" : code(name), shown("relative_error"),
                                  shown("one_minus_cosine")});
    }
    return fmt::format(
        "<h4>{} on {}: same weights, same batch, tensors that differ most of {}</h4>\n{}",
        code(attempt.check), code(attempt.device),
        number(member(attempt.detail, "tensors_compared"))
            .value_or(static_cast<double>(tensors.size())),
        table(list));
}

}  // namespace

std::string learning_pictures(const Material& material) {
    std::string html;
    for (const auto& check : material.verdict().checks) {
        const RecordedAttempt* attempt = measured(material, check.id, check.device);
        if (attempt == nullptr) continue;
        if (check.question == "learn") html += curves_of(*attempt) + tensors_of(*attempt);
        html += trial_tables(material, check);
    }
    if (!html.empty()) return html;
    return not_asked("Not asked: no training run was measured, so there are no curves.");
}

}  // namespace ascertain::report
