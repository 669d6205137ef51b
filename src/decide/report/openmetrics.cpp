#include "decide/report/openmetrics.hpp"

#include <fmt/format.h>

#include <cmath>
#include <set>

#include "base/text.hpp"
#include "decide/report/escape.hpp"
#include "decide/report/numbers.hpp"
#include "decide/report/parts.hpp"
#include "decide/report/wording.hpp"

namespace ascertain::report {
namespace {

constexpr std::size_t kLabelBytesMax = 300;

struct Label {
    std::string_view name;
    std::string value;
};

// Label values escape backslash, quote and newline (OpenMetrics 1.0, section "Escaping").
std::string label_value(std::string_view value) {
    std::string safe;
    for (const char c : cleaned(shortened(value, kLabelBytesMax))) {
        if (c == '\\')
            safe += "\\\\";
        else if (c == '"')
            safe += "\\\"";
        else if (c == '\n')
            safe += "\\n";
        else
            safe += c;
    }
    return safe;
}

// One metric family; samples of equal labels are kept once, since a second one is invalid.
class Family {
public:
    Family(std::string_view name, std::string_view type, std::string_view unit,
           std::string_view help)
        : name_(name) {
        text_ = fmt::format("# TYPE {} {}\n", name, type);
        if (!unit.empty()) text_ += fmt::format("# UNIT {} {}\n", name, unit);
        text_ += fmt::format("# HELP {} {}\n", name, help);
    }

    void add(const std::vector<Label>& labels, double value) {
        if (!std::isfinite(value)) return;
        std::string set;
        for (const Label& label : labels) {
            set += fmt::format("{}{}=\"{}\"", set.empty() ? "" : ",", label.name,
                               label_value(label.value));
        }
        if (!seen_.insert(set).second) return;
        const std::string braces = set.empty() ? "" : "{" + set + "}";
        text_ += fmt::format("{}{} {}\n", name_, braces, exact(value));
    }

    [[nodiscard]] const std::string& text() const { return text_; }

private:
    std::string name_;
    std::string text_;
    std::set<std::string> seen_;
};

}  // namespace

std::string openmetrics(const judge::Verdict& verdict) {
    Family word("ascertain_verdict", "stateset", "", "The verdict; exactly one state is 1.");
    const bool sound = contradiction_in(verdict).empty();
    for (const auto state : {judge::VerdictWord::kQualified, judge::VerdictWord::kInconclusive,
                             judge::VerdictWord::kNotQualified}) {
        const auto shown = sound ? verdict.verdict : judge::VerdictWord::kInconclusive;
        word.add({{"ascertain_verdict", std::string(judge::name_of(state))}},
                 shown == state ? 1.0 : 0.0);
    }
    Family hours("ascertain_device_hours", "gauge", "hours", "Device-hours the verdict rests on.");
    hours.add({{"rung", verdict.scope.rung}, {"profile", verdict.profile}}, verdict.scope.hours);

    Family passed("ascertain_check_passed", "gauge", "",
                  "1 for a sound pass, else 0; status says why.");
    Family duration("ascertain_check_duration_seconds", "gauge", "seconds",
                    "How long the check took.");
    Family observed("ascertain_observation", "gauge", "",
                    "What a check measured, in the unit of its label.");
    for (const auto& check : verdict.checks) {
        passed.add({{"check", check.id},
                    {"device", check.device},
                    {"question", check.question},
                    {"required", check.required ? "true" : "false"},
                    {"status", std::string(judge::name_of(check.status))}},
                   tone_of(check) == Tone::kGood ? 1.0 : 0.0);
        duration.add({{"check", check.id}, {"device", check.device}}, check.duration_s);
        for (const Metric& metric : check.observation) {
            if (!metric.value) continue;
            observed.add({{"check", check.id},
                          {"device", check.device},
                          {"metric", metric.metric},
                          {"unit", metric.unit}},
                         *metric.value);
        }
    }
    Family ratio("ascertain_measured_over_predicted_ratio", "gauge", "ratio",
                 "Measured over predicted value.");
    for (const auto& comparison : verdict.comparisons) {
        if (!comparison.measured || comparison.prediction.value == 0.0) continue;
        ratio.add({{"prediction", comparison.prediction.id},
                   {"device", comparison.prediction.device},
                   {"inside", comparison.inside ? "true" : "false"}},
                  *comparison.measured / comparison.prediction.value);
    }
    return word.text() + hours.text() + passed.text() + duration.text() + observed.text() +
           ratio.text() + "# EOF\n";
}

}  // namespace ascertain::report
