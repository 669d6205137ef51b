#include <fmt/format.h>

#include <algorithm>

#include "decide/report/escape.hpp"
#include "decide/report/numbers.hpp"
#include "decide/report/parts.hpp"
#include "decide/report/sections.hpp"

namespace ascertain::report {
namespace {

constexpr std::size_t kPlansMax = 10;

std::string whole(const Json& plan, std::string_view key) {
    const auto value = number(member(plan, key));
    return value ? readable(*value, "count") : "?";
}

// "TP 8 · PP 16 · DP 64": the widths that are not one.
std::string widths(const Json& plan) {
    std::string shown;
    for (const std::string_view key : {"tp", "pp", "vpp", "dp", "cp", "ep", "etp"}) {
        const auto value = number(member(plan, key));
        if (!value || *value == 1.0) continue;
        std::string name(key);
        for (char& c : name) c = static_cast<char>(c - 'a' + 'A');
        shown +=
            fmt::format("{}{} {}", shown.empty() ? "" : " · ", name, readable(*value, "count"));
    }
    return shown.empty() ? "one device" : shown;
}

std::string measured_or_unknown(const Json& plan, std::string_view key, std::string_view unit) {
    const auto value = number(member(plan, key));
    return value ? figure_text(*value, unit)
                 : std::string(R"(<span class="missing">unknown</span>)");
}

// A word of the document, or a number or flag as it stands.
std::string word(const Json& plan, std::string_view key) {
    const Json& value = member(plan, key);
    if (value.is_null()) return R"(<span class="missing">unknown</span>)";
    return escaped(value.is_string() ? text(value) : value.dump(), 80);
}

// The step with its 80 % interval.
std::string step_cell(const Json& plan) {
    std::string cell = measured_or_unknown(plan, "step_s", "s");
    const auto low = number(member(plan, "low_s"));
    const auto high = number(member(plan, "high_s"));
    if (!low || !high) return cell;
    return cell + fmt::format(" <span class=\"interval\">({} to {})</span>",
                              escaped(readable(*low, "s")), escaped(readable(*high, "s")));
}

std::vector<std::string> plan_row(const Json& plan, bool best) {
    const auto mfu = number(member(plan, "mfu_ratio"));
    const std::string worse = text(member(plan, "worse_because"));
    return {escaped(widths(plan)),
            word(plan, "sharding"),
            whole(plan, "micro_batch"),
            word(plan, "recompute"),
            word(plan, "schedule"),
            step_cell(plan),
            measured_or_unknown(plan, "memory_bytes", "B"),
            measured_or_unknown(plan, "tokens_per_s", ""),
            mfu ? fmt::format("{:.1f} %", *mfu * 100.0)
                : std::string(R"(<span class="missing">unknown</span>)"),
            word(plan, "bound_by"),
            best ? "the best" : escaped(worse.empty() ? "unknown" : worse, 200)};
}

// Rows of bars for the members of `parts` whose name ends in `suffix`, largest first.
std::string parts_bars(std::string_view title, std::string_view values, const Json& parts,
                       std::string_view suffix, std::string_view unit) {
    if (!parts.is_object()) return {};
    std::vector<std::pair<std::string, double>> list;
    double most = 0.0;
    for (const auto& [key, value] : parts.items()) {
        const auto amount = number(value);
        if (!amount || *amount <= 0.0 || !key.ends_with(suffix)) continue;
        std::string name = key.substr(0, key.size() - suffix.size());
        std::ranges::replace(name, '_', ' ');
        list.emplace_back(std::move(name), *amount);
        most = std::max(most, *amount);
    }
    if (list.empty()) return {};
    std::ranges::stable_sort(list, std::greater{}, &std::pair<std::string, double>::second);
    std::string html = bars_head(title, "Part", values);
    for (const auto& [name, amount] : list) {
        html += bar_row(escaped(name, 60), figure_text(amount, unit), "either", 0.0, amount / most);
    }
    return html + std::string(kBarsEnd);
}

std::string plans_of(const Record& record) {
    const Json& document = member(record.body, "document");
    const Json& plans = member(document, "plans");
    const std::string stage = text(member(record.body, "stage"));
    std::string html = fmt::format("<h4>Plans for {}, fastest first</h4>\n",
                                   stage.empty() ? "the fleet" : escaped(stage, 80));
    if (!plans.is_array() || plans.empty()) {
        const std::string why = text(member(document, "nothing_fits"));
        return html + not_asked("No plan fits this model on this fleet" +
                                (why.empty() ? std::string(".") : ": " + why));
    }
    Table list{"Plans",
               {"Plan", "Sharding", "#Micro-batch", "Recompute", "Schedule", "#Step", "#Memory",
                "#Tokens/s", "#MFU", "Bound by", "Why not this one"},
               {},
               ""};
    for (const Json& plan : plans) {
        if (list.rows_html.size() == kPlansMax) break;
        list.rows_html.push_back(plan_row(plan, list.rows_html.empty()));
    }
    html += table(list);
    const auto considered = number(member(document, "considered"));
    html += fmt::format(
        "<p class=\"note\">{} plans shown; {} considered; <a class=\"record\" href=\"#{}\">record "
        "{}</a>.</p>\n",
        list.rows_html.size(), considered ? readable(*considered, "count") : "an unknown number",
        anchor("record-", record.id()), record.sequence);
    const Json& best = plans.front();
    return html + "<div class=\"columns\"><div>" +
           parts_bars("One step of the best plan", "Seconds", member(best, "parts"), "_s", "s") +
           "</div><div>" +
           parts_bars("Memory of its fullest rank", "Bytes", member(best, "memory"), "_bytes",
                      "B") +
           "</div></div>\n" + landscape_picture(document);
}

}  // namespace

std::string plan_table(const Material& material) {
    if (material.plans.empty()) return not_asked("Not asked: no plan was searched for.");
    std::string html;
    for (const Record* record : material.plans) html += plans_of(*record);
    return html;
}

}  // namespace ascertain::report
