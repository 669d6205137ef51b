#include "app/qualify/rung.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "app/qualify/predictions.hpp"
#include "predict/cost/collective.hpp"
#include "predict/goodput/counts.hpp"

namespace ascertain::app {
namespace {

constexpr double kMessage_bytes = 256.0 * 1024 * 1024;

// A group of the plan: so many ranks, `stride` apart.
struct Group {
    std::string name;
    double size = 1.0;
    double stride = 1.0;
};

std::vector<Group> groups_of(const parallel::Plan& plan) {
    const auto number = [](std::int64_t value) { return static_cast<double>(value); };
    // Ranks are counted tensor parallel first, then context, data, pipeline (docs/formulas.md).
    const double model = number(plan.tp);
    return {{"tp", number(plan.tp), 1.0},
            {"cp", number(plan.cp), model},
            {"dp", number(plan.dp), model * number(plan.cp)},
            {"ep", number(plan.ep), std::max(1.0, number(plan.etp))}};
}

// What a collective's time rests on: rates of links and ports, and the fitted shares of them.
std::vector<cost::Basis> link_basis(const std::vector<cost::Basis>& all) {
    constexpr std::array kNames{"chip.scale_up_per_direction", "network.per_direction_per_chip",
                                "constant.link_share", "constant.nic_share"};
    std::vector<cost::Basis> chosen;
    for (const auto& item : all) {
        if (std::ranges::find(kNames, item.name) != kNames.end()) chosen.push_back(item);
    }
    return chosen;
}

evidence::Prediction interruptions(const goodput::GammaRate& failures, const RungQuestion& question,
                                   const std::string& devices) {
    evidence::Prediction foretold;
    const double hours = question.devices * question.hours;
    const auto count = goodput::forecast_count(failures, hours);
    if (!count) return foretold;
    foretold.id = fmt::format("rung.{}.interruptions", question.rung);
    foretold.device = devices;
    foretold.metric = fmt::format("interruptions in {:.0f} device-hours", hours);
    foretold.value = count->mean;
    // Where most runs see none, the mean lies above every likely count; the interval holds it too.
    foretold.low = std::min(count->low, count->mean);
    foretold.high = std::max(count->high, count->mean);
    foretold.unit = "count";
    foretold.basis = Json::array({{{"name", "failures, in so many device-hours of conviction"},
                                   {"value", failures.a},
                                   {"unit", "count"},
                                   {"kind", "published"},
                                   {"source", "data/reliability"}},
                                  {{"name", "device-hours of conviction"},
                                   {"value", failures.b_device_hours},
                                   {"unit", "h"},
                                   {"kind", "published"},
                                   {"source", "data/reliability"}}});
    return foretold;
}

std::vector<evidence::Prediction> bandwidths(const cost::Machine& machine,
                                             const std::vector<cost::Basis>& basis,
                                             const parallel::Plan& plan,
                                             const RungQuestion& question,
                                             const std::string& devices) {
    double spread = 0.0;
    bool measured = !basis.empty();
    for (const auto& item : basis) {
        spread = std::max(spread, item.spread);
        measured = measured && item.kind == "measured";
    }
    std::vector<evidence::Prediction> predictions;
    for (const Group& group : groups_of(plan)) {
        // Part of the group lies outside of the rung: it cannot be measured there.
        if (group.size < 2.0 || group.size * group.stride > question.devices) continue;
        const auto shape = cost::GroupShape::of(machine, group.size, group.stride);
        const double seconds =
            cost::collective_seconds(machine, cost::Collective::kAllReduce, kMessage_bytes, shape);
        evidence::Prediction foretold;
        foretold.id = fmt::format("rung.{}.bandwidth.{}", question.rung, group.name);
        foretold.device = devices;
        foretold.metric = fmt::format("bus bandwidth of all-reduce over {:.0f} ranks ({})",
                                      group.size, group.name);
        foretold.value = 2.0 * (group.size - 1.0) / group.size * kMessage_bytes / seconds;
        foretold.low = foretold.value / (1.0 + spread);
        foretold.high = foretold.value * (1.0 + spread);
        foretold.unit = "B/s";
        foretold.calibrated = measured;
        foretold.basis = basis_json(basis);
        predictions.push_back(std::move(foretold));
    }
    return predictions;
}

}  // namespace

std::vector<evidence::Prediction> rung_predictions(const Situation& situation,
                                                   const cost::CostBook& book,
                                                   const std::vector<StageForecast>& stages,
                                                   const goodput::GammaRate& failures,
                                                   const RungQuestion& question) {
    std::vector<evidence::Prediction> predictions;
    if (stages.empty()) return predictions;
    const StageForecast& stage = stages.front();
    const catalog::Fleet& fleet = situation.fleets[stage.fleet];
    const std::string devices = fmt::format("{:.0f} x {}", question.devices, fleet.chip.id);
    auto count = interruptions(failures, question, devices);
    if (!count.id.empty()) predictions.push_back(std::move(count));
    if (stage.search.plans.empty()) return predictions;
    const auto machine = cost::resolve_machine(fleet, stage.job, book);
    if (!machine) return predictions;
    const auto basis = link_basis(cost::basis_of(fleet, stage.job, *machine, book));
    for (auto& one :
         bandwidths(*machine, basis, stage.search.plans.front().plan, question, devices))
        predictions.push_back(std::move(one));
    return predictions;
}

}  // namespace ascertain::app
