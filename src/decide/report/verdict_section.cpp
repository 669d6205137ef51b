#include <fmt/format.h>

#include <algorithm>

#include "decide/report/escape.hpp"
#include "decide/report/numbers.hpp"
#include "decide/report/parts.hpp"
#include "decide/report/sections.hpp"
#include "decide/report/wording.hpp"

namespace ascertain::report {
namespace {

using judge::Verdict;

constexpr std::size_t kBlockersShown = 8;

void fact(std::string& list, std::string_view name, const std::string& value_html) {
    list += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", name, value_html);
}

std::string unknown(std::string_view why) {
    return fmt::format(R"(<span class="missing">{}</span>)", escaped(why));
}

std::string or_unknown(const std::string& value, std::string_view why) {
    return value.empty() ? unknown(why) : escaped(value, 300);
}

std::string software_list(const Json& software) {
    if (!software.is_object() || software.empty()) return unknown("not recorded");
    std::string list;
    for (const auto& [name, version] : software.items()) {
        const std::string shown = version.is_string() ? text(version) : version.dump();
        list += fmt::format("{}{} {}", list.empty() ? "" : ", ", name, shown);
    }
    return escaped(list, 600);
}

std::string facts(const Material& material) {
    const Verdict& verdict = material.verdict();
    const Json& campaign = material.campaign();
    std::string list = "<dl class=\"facts\">\n";
    fact(list, "Rung", or_unknown(verdict.scope.rung, "none reached"));
    fact(list, "Part", escaped(verdict.scope.part, 60));
    std::string devices;
    for (const auto& device : verdict.scope.devices) {
        devices += (devices.empty() ? "" : ", ") + device;
    }
    fact(list, "Devices", or_unknown(devices, "none"));
    fact(list, "Device-hours", figure_text(verdict.scope.hours, "h"));
    fact(list, "Profile", or_unknown(verdict.profile, "unknown"));
    fact(list, "Valid until",
         or_unknown(std::string(date_of(verdict.scope.valid_until)), "nothing is qualified"));
    fact(list, "Model", or_unknown(model_name(campaign), "not recorded"));
    fact(list, "Fleet", or_unknown(fleet_name(campaign), "not recorded"));
    if (material.context) {
        fact(list, "Begun", or_unknown(minute_of(material.context->time_utc), "unknown"));
        fact(list, "On", or_unknown(material.context->host, "unknown"));
    }
    fact(list, "Software", software_list(verdict.scope.software));
    return list + "</dl>\n";
}

std::string tally(const Verdict& verdict) {
    const Tally count = tally_of(verdict);
    if (count.required == 0)
        return not_asked("No check was required, so nothing can be qualified.");
    std::string bar = R"(<div class="tally" aria-hidden="true">)";
    const auto part = [&](Tone tone, std::size_t n) {
        if (n > 0)
            bar += fmt::format(R"(<span class="{}" style="flex:{}"></span>)", class_of(tone), n);
    };
    part(Tone::kBad, count.bad);
    part(Tone::kOpen, count.open);
    part(Tone::kNone, count.waived);
    part(Tone::kGood, count.good);
    return fmt::format("{}</div>\n<p class=\"tally-text\">{}</p>\n", bar, escaped(sentence(count)));
}

// Blockers that say the same, together: eighty operators skipped for one reason are one thing to
// do.
using Group = std::vector<const judge::Blocker*>;

std::vector<Group> grouped(const std::vector<const judge::Blocker*>& blockers) {
    std::vector<Group> groups;
    for (const auto* blocker : blockers) {
        const auto same = [&](const Group& group) {
            return group.front()->reason == blocker->reason &&
                   group.front()->remedy == blocker->remedy;
        };
        const auto found = std::ranges::find_if(groups, same);
        if (found == groups.end()) {
            groups.push_back({blocker});
        } else {
            found->push_back(blocker);
        }
    }
    return groups;
}

std::string name_of_blocker(const Material& material, const judge::Blocker& blocker) {
    const auto* check = find_check(material.verdict(), blocker.check);
    return check != nullptr ? check_link(*check, blocker.check) : code(blocker.check);
}

std::string blocker_item(const Material& material, const Group& group) {
    const judge::Blocker& first = *group.front();
    const auto* check = find_check(material.verdict(), first.check);
    const Tone tone = check != nullptr ? tone_of(*check) : Tone::kOpen;
    std::string others;
    for (std::size_t i = 1; i < group.size(); ++i) {
        others += (i == 1 ? "" : ", ") + name_of_blocker(material, *group[i]);
    }
    if (!others.empty()) {
        others =
            fmt::format("<details><summary>and {} more for the same reason</summary>{}</details>\n",
                        group.size() - 1, others);
    }
    return fmt::format(
        "<li class=\"{}\"><p class=\"what\">{} {}</p>\n{}<p>{}</p>\n<p "
        "class=\"remedy\"><strong>What "
        "to do:</strong> {}</p>\n<p class=\"sources\">{}</p></li>\n",
        class_of(tone), mark(tone, check != nullptr ? judge::name_of(check->status) : "BLOCKS"),
        name_of_blocker(material, first), others, prose(first.reason),
        first.remedy.empty() ? unknown("no remedy is known") : prose(first.remedy),
        first.records.empty() ? "" : record_links(material, first.records));
}

}  // namespace

std::string verdict_banner(const Material& material) {
    const Verdict& verdict = material.verdict();
    const std::string contradiction = contradiction_in(verdict);
    const Tone tone = contradiction.empty() ? tone_of(verdict.verdict) : Tone::kOpen;
    std::string html = fmt::format(
        "<header class=\"verdict {}\">\n<h1><span aria-hidden=\"true\">{}</span> {}</h1>\n"
        "<p class=\"scope\">{}</p>\n",
        class_of(tone), mark_of(tone), words_of(verdict.verdict), escaped(scope_sentence(verdict)));
    if (!contradiction.empty()) {
        html +=
            fmt::format("<p class=\"alarm\"><strong>Do not rely on this verdict.</strong> {}</p>\n",
                        escaped(contradiction));
    }
    if (!material.end) {
        html +=
            "<p class=\"alarm\">This run has not ended: what follows is what is known so "
            "far.</p>\n";
    } else if (!material.end->complete) {
        html += fmt::format("<p class=\"alarm\">This run was cut short: {}.</p>\n",
                            escaped(material.end->reason.empty() ? "no reason was recorded"
                                                                 : material.end->reason));
    }
    return html + tally(verdict) + facts(material) + "</header>\n";
}

std::string blockers_section(const Material& material) {
    const Verdict& verdict = material.verdict();
    std::string html = "<section id=\"blockers\"><h2>What blocks it</h2>\n";
    if (verdict.blockers.empty()) {
        const bool qualified = verdict.verdict == judge::VerdictWord::kQualified;
        return html +
               (qualified ? "<p>Nothing blocks it.</p>" : not_asked("No blocker was named.")) +
               "</section>\n";
    }
    const auto order = grouped(blockers_worst_first(verdict));
    std::string folded;
    html += "<ol class=\"blockers\">\n";
    for (std::size_t i = 0; i < order.size(); ++i) {
        (i < kBlockersShown ? html : folded) += blocker_item(material, order[i]);
    }
    html += "</ol>\n";
    if (!folded.empty()) {
        html += fmt::format(
            "<details><summary>{} more blockers</summary><ol "
            "class=\"blockers\">\n{}</ol></details>\n",
            order.size() - kBlockersShown, folded);
    }
    return html + "</section>\n";
}

std::string next_rung_section(const Material& material) {
    const auto& next = material.verdict().next_rung;
    std::string html = "<section id=\"next\"><h2>The next rung</h2>\n";
    if (next.rung.empty()) return html + "<p>No further rung was named.</p></section>\n";
    const std::string cost = next.device_hours ? figure_text(*next.device_hours, "device-hours")
                                               : unknown("an unknown number of device-hours");
    html += fmt::format(
        "<p class=\"lead\">The <strong>{}</strong> rung costs {} and would settle:</p>\n",
        escaped(next.rung), cost);
    if (next.settles.empty())
        return html + not_asked("Nothing was named that it would settle.") + "</section>\n";
    html += "<ul>\n";
    for (const auto& point : next.settles) html += fmt::format("<li>{}</li>\n", prose(point));
    return html + "</ul></section>\n";
}

std::string waivers_section(const Material& material) {
    const auto& waivers = material.verdict().waivers;
    if (waivers.empty()) return {};
    Table list{"Waivers", {"Check", "Accepted by", "Until", "Why"}, {}, ""};
    for (const auto& waiver : waivers) {
        list.rows_html.push_back(
            {code(waiver.check), escaped(waiver.by), escaped(waiver.until), escaped(waiver.why)});
    }
    return "<section id=\"waivers\"><h2>Waived by a person</h2>\n" + table(list) + "</section>\n";
}

}  // namespace ascertain::report
