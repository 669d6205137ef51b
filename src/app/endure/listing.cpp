#include "app/endure/listing.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "app/endure/claim.hpp"
#include "app/table.hpp"
#include "base/device_name.hpp"
#include "base/units.hpp"
#include "decide/evidence/records.hpp"

namespace ascertain::app {
namespace {

Result<std::vector<evidence::Attempt>> attempts_in(const std::vector<evidence::Record>& records) {
    std::vector<evidence::Attempt> attempts;
    for (const auto& record : records) {
        if (record.kind != "attempt") continue;
        auto attempt = evidence::attempt_from_json(record.body, record.id());
        if (!attempt) return attempt.error();
        attempts.push_back(*std::move(attempt));
    }
    return attempts;
}

bool is_measurement(const evidence::Attempt& attempt, std::string_view prefix) {
    const bool real =
        attempt.role == evidence::Role::kMeasure || attempt.role == evidence::Role::kConfirm;
    return real && attempt.check.starts_with(prefix);
}

Json checks_of(const judge::Verdict& verdict, std::string_view prefix) {
    Json checks = Json::array();
    for (const auto& check : verdict.checks) {
        if (!check.id.starts_with(prefix)) continue;
        checks.push_back({{"id", check.id},
                          {"device", check.device},
                          {"status", judge::name_of(check.status)},
                          {"reason", check.reason},
                          {"observation", to_json(check.observation)}});
    }
    return checks;
}

std::string dumped(const Json& document) {
    return document.dump(2);
}

// A whole number that may be null.
Cell count_cell(const Json& value) {
    if (!value.is_number_integer()) return cell("-", Json());
    return cell(std::to_string(value.get<std::int64_t>()), value);
}

std::vector<Cell> row_of(const evidence::Attempt& attempt, const Json& finding) {
    const auto count = [&](const char* key) { return count_cell(finding.value(key, Json())); };
    return {cell(attempt.check),
            cell(finding.value("kind", "")),
            cell(finding.value("dtype", "")),
            count("elements"),
            cell(finding.value("what", "")),
            count("from_rank"),
            count("at_rank"),
            count("byte_begin"),
            count("byte_end")};
}

Table findings_table() {
    return {{{"check", "check", false},
             {"kind", "collective", false},
             {"dtype", "dtype", false},
             {"elements", "elements", true},
             {"what", "what", false},
             {"from_rank", "rank to blame", true},
             {"at_rank", "seen by", true},
             {"byte_begin", "from byte", true},
             {"byte_end", "to byte", true}},
            {}};
}

Table parts_table() {
    return {{{"part", "part", false},
             {"devices", "devices", false},
             {"outcome", "ended", false},
             {"steps", "steps", true},
             {"distinct_hashes", "endings", true},
             {"devices_off", "devices off", true},
             {"row_sum_ratio_max", "row sums", true},
             {"duration_s", "took", true}},
            {}};
}

std::vector<Cell> row_of_part(const evidence::Attempt& attempt) {
    const auto value = [&](std::string_view name) {
        const Metric* metric = find_metric(attempt.observation, name);
        if (metric == nullptr || !metric->value) return cell("-", Json());
        return cell(fmt::format("{:.4g}", *metric->value), *metric->value);
    };
    return {cell(attempt.check),
            cell(attempt.device),
            cell(std::string(evidence::name_of(attempt.outcome))),
            value("steps"),
            value("distinct_hashes"),
            value("devices_off"),
            value("row_sum_ratio_max"),
            cell(format_duration({attempt.duration_s}), attempt.duration_s)};
}

std::string status_lines(const judge::Verdict& verdict, std::string_view prefix) {
    std::string text;
    for (const auto& check : verdict.checks) {
        if (!check.id.starts_with(prefix)) continue;
        text += fmt::format("{}{} on {}: {}{}", text.empty() ? "" : "\n", check.id, check.device,
                            judge::name_of(check.status),
                            check.reason.empty() ? "" : " (" + check.reason + ")");
    }
    return text;
}

// The CPU and the simulated chip show the method; they are no chips of a fleet.
bool rehearses(const std::vector<evidence::Attempt>& attempts) {
    return std::ranges::any_of(attempts, [](const evidence::Attempt& attempt) {
        const auto local = local_part(attempt.device);
        const bool own = local.starts_with("cpu") || local.starts_with("simulated");
        return attempt.check.starts_with("soak.") && own;
    });
}

}  // namespace

Result<std::string> links_text(const std::vector<evidence::Record>& records,
                               const judge::Verdict& verdict, const std::string& evidence,
                               Format format) {
    const auto attempts = attempts_in(records);
    if (!attempts) return attempts.error();
    Json findings = Json::array();
    Json backends = Json::array();
    Table table = findings_table();
    std::string emulated;
    for (const auto& attempt : *attempts) {
        if (!is_measurement(attempt, "links.")) continue;
        for (const Json& finding : attempt.detail.value("findings", Json::array())) {
            findings.push_back(finding);
            table.rows.push_back(row_of(attempt, finding));
        }
        if (!attempt.detail.contains("backend")) continue;
        backends.push_back({{"check", attempt.check},
                            {"backend", attempt.detail["backend"]},
                            {"staged", attempt.detail.value("staged", false)},
                            {"emulated", attempt.detail.value("emulated", Json::array())}});
        for (const Json& name : attempt.detail.value("emulated", Json::array())) {
            if (emulated.empty()) emulated = name.get<std::string>();
        }
    }
    if (format == Format::kJson) {
        return dumped({{"schema", "ascertain.links/1"},
                       {"checks", checks_of(verdict, "links.")},
                       {"backends", std::move(backends)},
                       {"findings", std::move(findings)},
                       {"evidence", evidence}});
    }
    if (format == Format::kCsv) return to_text(table, format);
    std::string text = status_lines(verdict, "links.");
    if (!table.rows.empty()) text += "\n\n" + to_text(table, format);
    if (!emulated.empty()) {
        text += fmt::format(
            "\nthe backend builds {} from other collectives: right data is checked, "
            "its time is not",
            emulated);
    }
    return text;
}

Result<std::string> soak_text(const Home& home, const Campaign& campaign,
                              const std::vector<evidence::Record>& records,
                              const judge::Verdict& verdict, const std::string& evidence,
                              Format format) {
    const auto attempts = attempts_in(records);
    if (!attempts) return attempts.error();
    const auto prior = failure_prior(home);
    if (!prior) return prior.error();
    const auto claim = fleet_claim(soaked_in(*attempts), *prior, campaign);
    if (!claim) return claim.error();
    if (format == Format::kJson) {
        Json document{{"schema", "ascertain.soak/1"}};
        document.update(to_json(*claim));
        document["rehearsal"] = rehearses(*attempts);
        document["checks"] = checks_of(verdict, "soak.");
        document["evidence"] = evidence;
        return dumped(document);
    }
    Table table = parts_table();
    for (const auto& attempt : *attempts) {
        if (is_measurement(attempt, "soak.")) table.rows.push_back(row_of_part(attempt));
    }
    if (format == Format::kCsv) return to_text(table, format);
    std::string text = to_text(table, format) + "\n" + status_lines(verdict, "soak.") + "\n";
    for (const auto& line : sentences_of(*claim)) text += "\n" + line;
    if (rehearses(*attempts)) {
        text +=
            "\na rehearsal: these devices are no chips of the fleet, so this says how it would "
            "be told, and nothing of the fleet";
    }
    return text;
}

}  // namespace ascertain::app
