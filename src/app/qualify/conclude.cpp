#include "app/qualify/conclude.hpp"

#include <filesystem>

#include "app/files.hpp"
#include "decide/judge/judge.hpp"
#include "decide/report/html.hpp"
#include "decide/report/junit.hpp"
#include "decide/report/openmetrics.hpp"
#include "decide/report/vendor_script.hpp"

namespace ascertain::app {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kDataFileBytesMax = 4u << 20;

// The waivers that the campaign of the first session brought.
std::vector<judge::Waiver> waivers_of(const std::vector<evidence::Record>& records) {
    std::vector<judge::Waiver> waivers;
    for (const auto& record : records) {
        if (record.kind != "context") continue;
        const auto context = evidence::context_from_json(record.body, record.id());
        if (!context) return waivers;
        const auto listed = context->campaign.find("waivers");
        if (listed == context->campaign.end() || !listed->is_array()) return waivers;
        for (const auto& entry : *listed) {
            const auto check = text_at(entry, "check", record.id());
            const auto by = text_at(entry, "by", record.id());
            const auto until = text_at(entry, "until", record.id());
            const auto why = text_at(entry, "why", record.id());
            // A waiver that does not read well waives nothing.
            if (check && by && until && why) waivers.push_back({*check, *by, *until, *why});
        }
        return waivers;
    }
    return waivers;
}

std::vector<report::Formula> formulas(const Home& home) {
    const auto text = read_file(home.root + "/docs/formulas.md", kDataFileBytesMax);
    return text ? report::formulas_from_markdown(*text) : std::vector<report::Formula>{};
}

}  // namespace

Result<judge::CriteriaSet> read_criteria(const Home& home) {
    const auto paths = files_in(home.data("criteria"), ".toml");
    if (!paths) return paths.error();
    std::vector<judge::CriteriaText> texts;
    for (const auto& path : *paths) {
        auto text = read_file(path, kDataFileBytesMax);
        if (!text) return text.error();
        texts.push_back({path, *std::move(text)});
    }
    return judge::CriteriaSet::parse(texts);
}

Result<judge::Verdict> verdict_of(const std::vector<evidence::Record>& records,
                                  const judge::CriteriaSet& criteria, const judge::Proofs& proofs) {
    if (records.empty())
        return Error{ErrorCode::kEvidence, "there is no record in this directory", ""};
    return judge::judge(records, criteria, waivers_of(records), records.back().time_utc, proofs);
}

Result<void> write_reports(const Home& home, const std::string& directory,
                           const std::vector<evidence::Record>& records,
                           const judge::Verdict& verdict) {
    std::string chart_js;
    if (!home.chart_js.empty()) {
        auto text = read_file(home.chart_js, kDataFileBytesMax);
        if (text) chart_js = *std::move(text);
    }
    const std::vector<std::pair<std::string, std::string>> documents{
        {"verdict.json", judge::to_json(verdict).dump(2) + "\n"},
        {"report.html", report::html({verdict, records, chart_js, formulas(home)})},
        {"report.xml", report::junit(verdict)},
        {"metrics.txt", report::openmetrics(verdict)}};
    for (const auto& [name, text] : documents) {
        const auto written = write_file(directory + "/" + name, text);
        if (!written) return written.error();
    }
    const auto scripts = report::vendor_scripts({verdict, records, "", {}});
    std::error_code failed;
    if (!scripts.empty()) fs::create_directories(fs::path(directory) / "vendor", failed);
    for (const auto& script : scripts) {
        const auto written = write_file(directory + "/" + script.file, script.text);
        if (!written) return written.error();
    }
    return {};
}

}  // namespace ascertain::app
