// ops.repeat: does the same call on the same inputs give the same bits every time?
#include <algorithm>
#include <array>
#include <optional>

#include "measure/checks/answers.hpp"
#include "measure/checks/cases.hpp"
#include "measure/checks/steps.hpp"
#include "measure/checks/walk.hpp"

namespace ascertain::checks {
namespace {

constexpr std::array<std::string_view, 3> kNeeded{"repeats", "distinct_outputs",
                                                  "elements_differing_max"};

int repeats_of(Profile profile) {
    switch (profile) {
        case Profile::kQuick: return 3;
        case Profile::kStandard: return 10;
        case Profile::kFull: return 100;
    }
    return 3;
}

}  // namespace

Step ops_repeat(const Context& context, const Json& state, std::span<const Answer> answers) {
    const std::vector<const Json*> cases = subject_cases(context);
    const auto ask = [&](const Json& one) {
        return Request{.kind = "repeat",
                       .params = {{"case", one},
                                  {"seed", context.seed},
                                  {"repeats", repeats_of(context.profile)}},
                       .deadline = deadline_of_one(context.profile),
                       .members = {0}};
    };
    auto walked = walk(context, state, answers, cases, ask, kNeeded);
    if (auto* step = std::get_if<Step>(&walked)) return std::move(*step);

    Json rows = Json::array();
    double distinct_max = 0.0;
    double differing_max = 0.0;
    double repeats = 0.0;
    std::optional<double>
        order_ratio_max;  // of operators whose order the device declares to be any
    std::size_t compared = 0;
    for (const WalkRow& row : std::get<std::vector<WalkRow>>(walked)) {
        Json detail = {{"case", case_id(*cases[row.index])},
                       {"label", case_label(*cases[row.index])}};
        if (row.result.is_null()) {
            detail["reason"] = row.no_reference;
        } else {
            const auto observation = observation_from_json(row.result["observation"], "repeat");
            const Metric* distinct = find_metric(*observation, "distinct_outputs");
            const Metric* differing = find_metric(*observation, "elements_differing_max");
            const Metric* runs = find_metric(*observation, "repeats");
            if (!distinct->value || !differing->value || !runs->value) {
                return harness_error("repeat: a metric without a value");
            }
            // Fewer than two runs compare nothing, and none would look like agreement.
            if (*runs->value < 2.0 || *distinct->value < 1.0) {
                return harness_error("repeat: fewer than two runs were compared");
            }
            distinct_max = std::max(distinct_max, *distinct->value);
            differing_max = std::max(differing_max, *differing->value);
            repeats += *runs->value;
            const Metric* ratio = find_metric(*observation, "order_ratio");
            if (ratio != nullptr && ratio->value) {
                order_ratio_max = std::max(order_ratio_max.value_or(0.0), *ratio->value);
            }
            ++compared;
            detail["observation"] = row.result["observation"];
        }
        rows.push_back(std::move(detail));
    }
    if (compared == 0) {
        return GiveUp{GiveUp::Reason::kNoReference, "no case of this operator can be repeated"};
    }
    Done done;
    done.observation = {metric_of("distinct_outputs", distinct_max, "count"),
                        metric_of("elements_differing_max", differing_max, "count"),
                        metric_of("repeats", repeats, "count"),
                        metric_of("cases_tested", static_cast<double>(compared), "count"),
                        metric_of("cases_total", static_cast<double>(cases.size()), "count")};
    if (order_ratio_max) {
        done.observation.push_back(metric_of("order_ratio_max", *order_ratio_max, "ratio"));
    }
    done.detail = {{"rows", rows}};
    return done;
}

}  // namespace ascertain::checks
