// soak.model: does the model's own step give the same bits on every device, round after round, in
// the same memory? All devices run the same rounds; who is alone with his bits is wrong.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "measure/checks/answers.hpp"
#include "measure/checks/company.hpp"
#include "measure/checks/steps.hpp"

namespace ascertain::checks {
namespace {

constexpr std::array<std::string_view, 7> kNeeded{"rounds",
                                                  "steps",
                                                  "nonfinite_steps",
                                                  "row_sum_ratio_max",
                                                  "device_growth_bytes",
                                                  "host_growth_bytes",
                                                  "seconds"};
constexpr std::int64_t kStepsOfRound = 8;
constexpr Seconds kStart{60.0};  // for building the model the first time

Ask ask(const Context& context) {
    const Json& params = context.subject.params;
    const Seconds length =
        has_time(context) ? Seconds{params["soak_s"].get<double>()} : Seconds{0.0};
    Request request;
    request.kind = "soak";
    request.params = {{"architecture", params["trial_architecture"]},
                      {"recipe", params["recipe"]},
                      {"dtype", params["dtype"]},
                      {"seed", context.seed},
                      {"seconds", length.count},
                      {"steps", kStepsOfRound}};
    request.deadline = length * 2.0 + kStart + deadline_of_one(context.profile);
    request.members = all_ranks(context);
    return {.state = {{"asked", true}}, .requests = {std::move(request)}};
}

// How often each ending was reached, on all devices together.
std::map<std::string, std::int64_t> votes_of(std::span<const Answer> answers) {
    std::map<std::string, std::int64_t> votes;
    for (const Answer& answer : answers) {
        const auto hashes = answer.result.find("hashes");
        if (hashes == answer.result.end() || !hashes->is_object()) continue;
        for (const auto& entry : hashes->items()) {
            const bool counts = entry.value().is_number_integer();
            votes[entry.key()] += counts ? entry.value().get<std::int64_t>() : std::int64_t{0};
        }
    }
    return votes;
}

// The ending of the majority; "" where two are equally frequent, for then nobody can say who is
// right.
std::string majority_of(const std::map<std::string, std::int64_t>& votes) {
    std::string best;
    std::int64_t most = 0;
    bool tied = false;
    for (const auto& [hash, count] : votes) {
        tied = count == most || (tied && count < most);
        if (count > most) {
            best = hash;
            most = count;
        }
    }
    return tied ? "" : best;
}

bool all_of_majority(const Answer& answer, const std::string& majority) {
    const auto hashes = answer.result.find("hashes");
    if (hashes == answer.result.end() || !hashes->is_object()) return false;
    return hashes->size() == 1 && hashes->contains(majority);
}

struct Totals {
    double rounds = 0.0;
    double steps = 0.0;
    double nonfinite = 0.0;
    double row_sums = 0.0;
    double device_growth = 0.0;
    double host_growth = 0.0;
    double seconds = 0.0;
};

std::optional<GiveUp> add_up(std::span<const Answer> answers, Totals& totals) {
    for (const Answer& answer : answers) {
        auto read = observation_of_rank(answer, kNeeded);
        if (auto* broken = std::get_if<GiveUp>(&read)) return std::move(*broken);
        const auto value = [&](std::string_view name) {
            return find_metric(std::get<Observation>(read), name)->value.value_or(0.0);
        };
        totals.rounds += value("rounds");
        totals.steps += value("steps");
        totals.nonfinite += value("nonfinite_steps");
        totals.row_sums = std::max(totals.row_sums, value("row_sum_ratio_max"));
        totals.device_growth = std::max(totals.device_growth, value("device_growth_bytes"));
        totals.host_growth = std::max(totals.host_growth, value("host_growth_bytes"));
        totals.seconds += value("seconds");
    }
    return std::nullopt;
}

Json devices_of(const Context& context, std::span<const Answer> answers,
                const std::string& majority) {
    Json devices = Json::array();
    for (const Answer& answer : answers) {
        devices.push_back({{"rank", answer.member},
                           {"device", context.devices[answer.member].name},
                           {"agrees", all_of_majority(answer, majority)},
                           {"hashes", answer.result.value("hashes", Json::object())},
                           {"observation", answer.result.value("observation", Json::array())},
                           {"timeline", answer.result.value("timeline", Json::array())}});
    }
    return devices;
}

Step finish(const Context& context, std::span<const Answer> answers) {
    Totals totals;
    if (auto why = add_up(answers, totals)) return *std::move(why);
    const auto votes = votes_of(answers);
    if (votes.empty() || totals.rounds < 2.0) return harness_error("soak: no round was compared");
    const std::string majority = majority_of(votes);
    const auto off = std::ranges::count_if(
        answers, [&](const Answer& answer) { return !all_of_majority(answer, majority); });
    constexpr double kSecondsPerHour = 3600.0;
    const double failures = std::max(static_cast<double>(off), totals.nonfinite > 0.0 ? 1.0 : 0.0);
    Done done;
    done.observation = {metric_of("distinct_hashes", static_cast<double>(votes.size()), "count"),
                        metric_of("devices_off", static_cast<double>(off), "count"),
                        metric_of("nonfinite_steps", totals.nonfinite, "count"),
                        metric_of("row_sum_ratio_max", totals.row_sums, "ratio"),
                        metric_of("device_growth_bytes", totals.device_growth, "B"),
                        metric_of("host_growth_bytes", totals.host_growth, "B"),
                        metric_of("rounds", totals.rounds, "count"),
                        metric_of("steps", totals.steps, "count"),
                        metric_of("failures", failures, "count"),
                        metric_of("device_hours", totals.seconds / kSecondsPerHour, "h")};
    done.detail = {{"devices", devices_of(context, answers, majority)},
                   {"majority", majority.empty() ? Json() : Json(majority)}};
    return done;
}

}  // namespace

Step soak_model(const Context& context, const Json& state, std::span<const Answer> answers) {
    if (parameter(context, "trial_architecture", Json::value_t::object) == nullptr ||
        parameter(context, "recipe", Json::value_t::object) == nullptr ||
        parameter(context, "dtype", Json::value_t::string) == nullptr ||
        parameter(context, "soak_s", Json::value_t::number_float) == nullptr) {
        return harness_error("soak.model needs an architecture, a recipe, a dtype and its length");
    }
    if (state.is_null()) return ask(context);
    if (answers.size() != context.devices.size()) {
        return harness_error("not every device answered once");
    }
    return finish(context, answers);
}

}  // namespace ascertain::checks
