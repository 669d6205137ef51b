#include <fmt/format.h>

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

}  // namespace

std::string plan_table(const Material& material) {
    const Json& document = material.plan_document();
    const Json& plans = member(document, "plans");
    if (!plans.is_array()) return not_asked("Not asked: no plan was searched for.");
    std::string html = "<h4>Plans for the fleet, fastest first</h4>\n";
    if (plans.empty()) return html + not_asked("No plan fits this model on this fleet.");
    Table list{"Plans",
               {"Plan", "Sharding", "#Micro-batch", "Recompute", "Schedule", "#Step", "#Memory",
                "#Tokens/s", "#MFU", "Bound by"},
               {},
               ""};
    for (const Json& plan : plans) {
        if (list.rows_html.size() == kPlansMax) break;
        const auto mfu = number(member(plan, "mfu_ratio"));
        list.rows_html.push_back({escaped(widths(plan)), word(plan, "sharding"),
                                  whole(plan, "micro_batch"), word(plan, "recompute"),
                                  word(plan, "schedule"), measured_or_unknown(plan, "step_s", "s"),
                                  measured_or_unknown(plan, "memory_bytes", "B"),
                                  measured_or_unknown(plan, "tokens_per_s", ""),
                                  mfu ? fmt::format("{:.1f} %", *mfu * 100.0)
                                      : std::string(R"(<span class="missing">unknown</span>)"),
                                  word(plan, "bound_by")});
    }
    html += table(list);
    const auto considered = number(member(document, "considered"));
    html += fmt::format(
        "<p class=\"note\">{} of {} plans shown; {} considered{}.</p>\n", list.rows_html.size(),
        plans.size(), considered ? readable(*considered, "count") : "an unknown number",
        material.plan == nullptr ? "" : "; " + record_link(material, material.plan->id()));
    return html;
}

}  // namespace ascertain::report
