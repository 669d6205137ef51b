// docs/validation-serving.md, data/cost/serving.toml and the document, from what fit_served found.
#include <fmt/format.h>

#include <cmath>
#include <map>

#include "predict/cost/page.hpp"
#include "predict/serving/served.hpp"

namespace ascertain::serving {
namespace {

std::string_view name_of(Measure measure) {
    switch (measure) {
        case Measure::kPrefill: return "prefill";
        case Measure::kDecode: return "decode";
        case Measure::kOutput: return "output";
    }
    return "";
}

std::string conditions(const ServedRow& row) {
    std::string text = fmt::format("{:.0f} in", row.workload.prompt_tokens);
    if (row.measure != Measure::kPrefill)
        text += fmt::format(", {:.0f} out", row.workload.output_tokens);
    if (row.workload.cached_ratio > 0.0)
        text += fmt::format(", {:.0f} % cached", 100.0 * row.workload.cached_ratio);
    if (row.sequences) text += fmt::format(", {:.0f} at once", *row.sequences);
    if (row.engine.draft_tokens > 0) text += fmt::format(", {} drafted", row.engine.draft_tokens);
    return text;
}

using cost::Page;

void write_series(Page& page, const std::vector<ServedRow>& rows, const ServedFit& fit) {
    struct Sums {
        double rows = 0.0, inside = 0.0, error = 0.0, bias = 0.0;
    };
    std::map<std::string, Sums> series;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (!fit.rows[i]) continue;
        Sums& sums = series[rows[i].series];
        const double off = fit.rows[i]->left_out / rows[i].value - 1.0;
        sums.rows += 1.0;
        sums.inside += fit.rows[i]->inside ? 1.0 : 0.0;
        sums.error += std::abs(off);
        sums.bias += off;
    }
    page.line("| series | rows | mean error | bias | in the 80 % interval |");
    page.line("|---|---|---|---|---|");
    for (const auto& [name, sums] : series)
        page.line("| {} | {:.0f} | {:.0f} % | {:+.0f} % | {:.0f} of {:.0f} |", name, sums.rows,
                  100.0 * sums.error / sums.rows, 100.0 * sums.bias / sums.rows, sums.inside,
                  sums.rows);
}

void write_rows(Page& page, const std::vector<ServedRow>& rows,
                const std::vector<ServedSeconds>& seconds, const ServedFit& fit) {
    page.line("| row | what | conditions | layout | published | predicted | 80 % interval | |");
    page.line("|---|---|---|---|---|---|---|---|");
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const ServedRow& row = rows[i];
        const std::string head = fmt::format(
            "| {} | {} | {} | {} {} | {:.0f} |", row.id, name_of(row.measure), conditions(row),
            describe(row.layout), name_of(row.engine.precision), row.value);
        if (!fit.rows[i])
            page.line("{} refused: {} | | |", head, seconds[i].refused_because);
        else
            page.line("{} {:.0f} | {:.0f} to {:.0f} | {} |", head, fit.rows[i]->left_out,
                      fit.rows[i]->low, fit.rows[i]->high, fit.rows[i]->inside ? "" : "outside");
    }
}

}  // namespace

std::string served_page(const std::vector<ServedRow>& rows,
                        const std::vector<ServedSeconds>& seconds, const ServedFit& fit) {
    Page page;
    page.line("# Validation of the serving model\n");
    page.line(
        "Written by `ascertain score data/published/serving.json --page "
        "docs/validation-serving.md`; do not edit.\nTokens per second and device, as software "
        "sees devices. Every row is predicted by levels and an interval that its own\nseries "
        "(engine and chip) had no part in. Two numbers are fitted: the seconds of real engines "
        "over those of the passes as\npriced, {:.2f} in prefill and {:.2f} in decode.\n",
        fit.level.prefill, fit.level.decode);
    page.line(
        "{} of {} rows are predicted. The 80 % interval (a factor of {:.2f} to both sides on a "
        "die that is known) holds\n{:.0f} % of them, {:.0f} % when every series counts once; the "
        "median error is {:.0f} %.\n",
        fit.level.rows, rows.size(), std::exp(fit.level.width), 100.0 * fit.inside_ratio,
        100.0 * fit.inside_series_ratio, 100.0 * fit.median_error);
    write_series(page, rows, fit);
    page.line("\n## Row by row\n");
    page.line("Sources and what had to be assumed: `data/published/serving.json`.\n");
    write_rows(page, rows, seconds, fit);
    return std::move(page).text();
}

std::string to_toml(const EngineLevel& level) {
    return fmt::format(
        "# Real serving engines over the passes as priced; written by `ascertain score "
        "data/published/serving.json --level FILE`.\n"
        "# Meanings: src/predict/serving/serving.hpp.\n"
        "schema = \"ascertain.serving/1\"\n"
        "rows = {}\nfitted_on = \"{}\"\nprefill = {:.4f}\ndecode = {:.4f}\nwidth = {:.4f}\n",
        level.rows, level.fitted_on, level.prefill, level.decode, level.width);
}

Json to_json(const std::vector<ServedRow>& rows, const std::vector<ServedSeconds>& seconds,
             const ServedFit& fit) {
    Json list = Json::array();
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const ServedRow& row = rows[i];
        Json entry{{"id", row.id},
                   {"series", row.series},
                   {"chip", row.chip},
                   {"measure", name_of(row.measure)},
                   {"published_tokens_per_s", row.value},
                   {"predicted_tokens_per_s", nullptr},
                   {"low_tokens_per_s", nullptr},
                   {"high_tokens_per_s", nullptr},
                   {"inside", nullptr},
                   {"refused_because", nullptr}};
        if (const auto& found = fit.rows[i]) {
            entry["predicted_tokens_per_s"] = finite_or_null(found->left_out);
            entry["low_tokens_per_s"] = finite_or_null(found->low);
            entry["high_tokens_per_s"] = finite_or_null(found->high);
            entry["inside"] = found->inside;
        } else {
            entry["refused_because"] = seconds[i].refused_because;
        }
        list.push_back(std::move(entry));
    }
    return {{"schema", "ascertain.served_score/1"},
            {"rows", std::move(list)},
            {"summary",
             {{"count", fit.level.rows},
              {"prefill_level", fit.level.prefill},
              {"decode_level", fit.level.decode},
              {"interval_width", fit.level.width},
              {"interval_coverage", fit.inside_ratio},
              {"interval_coverage_by_series", fit.inside_series_ratio},
              {"median_ape", fit.median_error}}}};
}

}  // namespace ascertain::serving
