#include "decide/report/trial_tables.hpp"

#include <fmt/format.h>

#include "decide/report/escape.hpp"
#include "decide/report/numbers.hpp"
#include "decide/report/parts.hpp"

namespace ascertain::report {
namespace {

constexpr const char* kUnknown = R"(<span class="missing">unknown</span>)";

std::optional<double> metric_of(const judge::CheckVerdict& check, std::string_view name) {
    const Metric* metric = find_metric(check.observation, name);
    return metric == nullptr ? std::nullopt : metric->value;
}

std::string shown(const std::optional<double>& value, std::string_view unit = "") {
    return value ? figure_text(*value, unit) : kUnknown;
}

std::string percent(const std::optional<double>& share) {
    return share ? fmt::format("{} %", readable(100.0 * *share, "")) : "unknown";
}

// Every run's final loss, and whether it lies within the margin around the reference's mean.
std::string outcomes(const Json& runs, double margin) {
    double sum = 0.0;
    double count = 0.0;
    for (const Json& run : runs) {
        const auto outcome = number(member(run, "outcome"));
        if (!outcome || !text(member(run, "name")).starts_with("reference")) continue;
        sum += *outcome;
        count += 1.0;
    }
    if (count == 0.0) return {};
    const double mean = sum / count;
    Table list{"Final loss of every run",
               {"Run", "#Final loss", "#From the reference's mean", "Within the margin"},
               {},
               ""};
    for (const Json& run : runs) {
        const auto outcome = number(member(run, "outcome"));
        const auto apart = outcome ? std::optional(*outcome / mean - 1.0) : std::nullopt;
        const bool inside = apart && *apart <= margin && *apart >= -margin;
        list.rows_html.push_back({escaped(text(member(run, "name"))), shown(outcome, "nat"),
                                  escaped(percent(apart)), inside ? "yes" : "no"});
    }
    return table(list);
}

std::string equivalence(const judge::CheckVerdict& check, const Json& detail) {
    const auto margin = metric_of(check, "margin");
    const Json& runs = member(detail, "runs");
    if (!margin || !runs.is_array() || runs.empty()) return {};
    const std::string sentence = fmt::format(
        "The final loss differs by {} (90 % interval {} to {}), where {} either way is the margin. "
        "One run scatters by {}, over {} replicas of the reference; with that a healthy device "
        "passes with probability {} and is called different with probability {}.",
        percent(metric_of(check, "loss_difference")),
        percent(metric_of(check, "loss_difference_low90")),
        percent(metric_of(check, "loss_difference_high90")), percent(margin),
        percent(metric_of(check, "run_spread")),
        readable(metric_of(check, "replicas").value_or(0.0), ""),
        percent(metric_of(check, "power")), percent(metric_of(check, "false_alarm_rate")));
    return fmt::format("<h4>{} on {}: equivalence</h4>\n<p>{}</p>\n{}", code(check.id),
                       code(check.device), escaped(sentence), outcomes(runs, *margin));
}

std::string parallel(const judge::CheckVerdict& check, const Json& detail) {
    const Json& forms = member(detail, "forms");
    if (!forms.is_array() || forms.empty()) return {};
    Table list{"Ranks together against one rank",
               {"Form", "#Ranks", "#Loss apart, relative", "#Worst gradient, relative",
                "#Weights, relative", "Worst tensor"},
               {},
               ""};
    for (const Json& form : forms) {
        const std::string unfit = text(member(form, "unfit"));
        const std::string name = escaped(text(member(form, "form")));
        if (!unfit.empty()) {
            list.rows_html.push_back({name, "", "", "", "", "not asked: " + escaped(unfit)});
            continue;
        }
        const std::string worst = text(member(form, "worst_tensor"));
        const auto weights = number(member(form, "weights_relative_error"));
        list.rows_html.push_back({name, shown(number(member(form, "ranks"))),
                                  shown(number(member(form, "relative_loss"))),
                                  shown(number(member(form, "tensor_relative_error_max"))),
                                  weights ? shown(weights) : "", worst.empty() ? "" : code(worst)});
    }
    return fmt::format("<h4>{} on {}: parallel equals serial</h4>\n{}", code(check.id),
                       code(check.device), table(list));
}

std::string resumptions(const judge::CheckVerdict& check, const Json& detail) {
    const Json& rows = member(detail, "resumptions");
    if (!rows.is_array() || rows.empty()) return {};
    Table list{"Runs that were killed and went on",
               {"Run", "#Went on from step", "#Largest loss difference", "Same bits at the end",
                "Checkpoints passed over"},
               {},
               ""};
    for (const Json& row : rows) {
        std::string skipped;
        for (const Json& one : member(row, "skipped")) {
            skipped += (skipped.empty() ? "" : "<br>") + escaped(text(one));
        }
        const Json& same = member(row, "same_bits");
        list.rows_html.push_back(
            {escaped(text(member(row, "run"))), shown(number(member(row, "resumed_from"))),
             shown(number(member(row, "loss_difference_max"))),
             same.is_boolean() ? (same.get<bool>() ? "yes" : "no") : kUnknown, skipped});
    }
    const std::string times =
        fmt::format("A checkpoint of {} took {} to save and {} to load.",
                    readable(metric_of(check, "checkpoint_bytes").value_or(0.0), "B"),
                    readable(metric_of(check, "checkpoint_save").value_or(0.0), "s"),
                    readable(metric_of(check, "checkpoint_load").value_or(0.0), "s"));
    return fmt::format("<h4>{} on {}: killed and resumed</h4>\n{}<p>{}</p>\n", code(check.id),
                       code(check.device), table(list), escaped(times));
}

}  // namespace

std::string trial_tables(const Material& material, const judge::CheckVerdict& check) {
    const RecordedAttempt* recorded = measured(material, check.id, check.device);
    if (recorded == nullptr) return {};
    const Json& detail = recorded->attempt.detail;
    return equivalence(check, detail) + parallel(check, detail) + resumptions(check, detail);
}

}  // namespace ascertain::report
