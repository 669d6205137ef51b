#include <fmt/format.h>

#include "decide/report/escape.hpp"
#include "decide/report/numbers.hpp"
#include "decide/report/parts.hpp"
#include "decide/report/sections.hpp"

namespace ascertain::report {
namespace {

using judge::Comparison;

constexpr std::size_t kChartRows = 24;

// What the prediction rests on: the kinds of its inputs, each once.
std::string basis_of(const evidence::Prediction& prediction) {
    std::string kinds;
    if (prediction.basis.is_array()) {
        for (const Json& input : prediction.basis) {
            const std::string kind = text(member(input, "kind"));
            if (kind.empty() || kinds.find(kind) != std::string::npos) continue;
            kinds += (kinds.empty() ? "" : ", ") + kind;
        }
    }
    return kinds.empty() ? R"(<span class="missing">unknown</span>)" : escaped(kinds);
}

std::string interval_chart(const std::vector<const Comparison*>& order) {
    Json rows = Json::array();
    Table numbers{"Measured over foretold", {"Prediction", "#Low", "#Measured", "#High"}, {}, ""};
    std::size_t outside = 0;
    for (const Comparison* comparison : order) {
        const auto& foretold = comparison->prediction;
        if (!comparison->measured || foretold.value <= 0.0) continue;
        outside += comparison->inside ? 0 : 1;
        const auto ratio = [&](double value) { return value / foretold.value; };
        numbers.rows_html.push_back({code(foretold.id), fmt::format("{:.3g}", ratio(foretold.low)),
                                     fmt::format("{:.3g}", ratio(*comparison->measured)),
                                     fmt::format("{:.3g}", ratio(foretold.high))});
        if (rows.size() == kChartRows) continue;
        rows.push_back({{"label", cleaned(foretold.id)},
                        {"value", finite_or_null(ratio(*comparison->measured))},
                        {"band_low", finite_or_null(ratio(foretold.low))},
                        {"band_high", finite_or_null(ratio(foretold.high))},
                        {"tone", class_of(tone_of(*comparison))}});
    }
    if (rows.empty()) return {};
    const std::size_t shown = rows.size();
    return chart(
        {.key = "comparison",
         .title = "Measured, as a multiple of what was foretold; the bar is the 80 % interval",
         .summary = fmt::format("{} of {} measured numbers lie outside their interval.", outside,
                                numbers.rows_html.size()),
         .drawing = {{"kind", "dots"}, {"log", true}, {"unit", "× foretold"}, {"rows", rows}},
         .numbers = std::move(numbers),
         .height_px = static_cast<int>(56 + 22 * shown)});
}

}  // namespace

std::string comparison_section(const Material& material) {
    const auto& all = material.verdict().comparisons;
    std::string html = "<section id=\"comparison\"><h2>Measured against predicted</h2>\n";
    if (all.empty()) {
        return html + not_asked("Not asked: nothing was foretold before it was measured.") +
               "</section>\n";
    }
    std::vector<const Comparison*> order;
    for (const auto& comparison : all) order.push_back(&comparison);
    std::ranges::stable_sort(order, std::greater{}, [](const auto* c) { return attention(*c); });
    Table list{"Measured against predicted",
               {"Prediction", "Device", "#Foretold", "#80 % interval", "#Measured", "Result",
                "Rests on", "Record"},
               {},
               ""};
    for (const Comparison* comparison : order) {
        const auto& foretold = comparison->prediction;
        list.rows_html.push_back(
            {code(foretold.id), code(foretold.device), figure_text(foretold.value, foretold.unit),
             fmt::format("{} to {}", escaped(readable(foretold.low, foretold.unit)),
                         escaped(readable(foretold.high, foretold.unit))),
             comparison->measured ? figure_text(*comparison->measured, foretold.unit)
                                  : R"(<span class="missing">not measured</span>)",
             mark(tone_of(*comparison), words_of(*comparison)), basis_of(foretold),
             comparison->record.empty() ? R"(<span class="missing">no record</span>)"
                                        : record_link(material, comparison->record)});
    }
    return html + interval_chart(order) + table(list) + "</section>\n";
}

}  // namespace ascertain::report
