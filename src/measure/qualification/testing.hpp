// For the tests of qualification: a crew of workers that answer from a script, a clock that their
// answers move, and an observer that keeps everything.
#pragma once

#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "measure/device/clock.hpp"
#include "measure/device/workers.hpp"
#include "measure/qualification/runner.hpp"

namespace ascertain::qualification::testing {

class MovedClock final : public device::Clock {
public:
    [[nodiscard]] Seconds now() const override { return now_; }
    void advance(Seconds time) { now_ += time; }

private:
    Seconds now_{100.0};
};

inline Json metric(const std::string& name, double value) {
    return {{"metric", name}, {"value", value}, {"unit", "ratio"},
            {"n", 1},         {"low", nullptr}, {"high", nullptr}};
}

inline Json reference_operators() {
    const auto op = [](const char* name, std::vector<std::string> ids, double share) {
        return Json{{"name", name},   {"overload", ""},         {"phase", "forward"},
                    {"count", 2},     {"share_of_step", share}, {"case_ids", std::move(ids)},
                    {"compute", true}};
    };
    Json list = {op("aten::mm", {"a", "b"}, 0.75), op("aten::add", {"c"}, 0.25)};
    list.push_back(
        {{"name", "aten::view"}, {"phase", "forward"}, {"count", 9}, {"compute", false}});
    return list;
}

inline Json operator_case(const char* id, const char* name, std::vector<std::vector<int>> shapes) {
    Json arguments = Json::array();
    for (auto& shape : shapes) {
        arguments.push_back({{"tensor", {{"dtype", "bf16"}, {"shape", std::move(shape)}}}});
    }
    return {{"id", id},
            {"operator", name},
            {"phase", "forward"},
            {"count", 2},
            {"arguments", arguments}};
}

// The answer to a capture of a step with two operators in three cases.
inline Json captured() {
    return {{"cases",
             {operator_case("a", "aten::mm", {{64, 32}, {32, 16}}),
              operator_case("b", "aten::mm", {{8, 4}, {4, 2}}),
              operator_case("c", "aten::add", {{64, 32}, {64, 32}})}},
            {"operators", reference_operators()},
            {"gemms", Json::array()},
            {"step_s", 0.5}};
}

inline Json losses(std::size_t count, double value) {
    return Json(std::vector<double>(count, value));
}

// What a healthy worker of the device `name` answers; a tamper makes it answer wrongly.
inline device::Reply healthy(const std::string& name, const device::Order& order) {
    const bool tampered = order.params.contains("tamper");
    const double wrong = tampered ? 1.0 : 0.0;
    Json result;
    if (order.request == "describe") {
        result = {{"device", name}, {"dtypes", {"fp32", "bf16"}}, {"memory_bytes", 1e9}};
    } else if (order.request == "capture") {
        result = captured();
    } else if (order.request == "replay") {
        result = {{"reference", "fp64"},
                  {"observation",
                   {metric("share_not_correctly_rounded", wrong), metric("error_ratio", 1.0),
                    metric("elements", 10)}}};
    } else if (order.request == "repeat") {
        result = {{"observation",
                   {metric("repeats", 3), metric("distinct_outputs", 1.0 + wrong),
                    metric("elements_differing_max", wrong)}}};
    } else if (order.request == "numerics") {
        result = {
            {"observation",
             {metric("mismatches", wrong), metric("bound_ratio", wrong * 2.0), metric("z_max", 1.0),
              metric("raised", 0), metric("questions", 3), metric("elements", 10)}}};
    } else if (order.request == "time") {
        result = {{"observation",
                   {metric("seconds_median", 0.001), metric("seconds_p90", 0.001),
                    metric("seconds_min", 0.001)}}};
    } else if (order.request == "teacher_force") {
        result = {
            {"observation",
             {metric("relative_loss_max", wrong), metric("tensor_relative_error_max", wrong),
              metric("optimizer_relative_error_max", 0.0), metric("router_bias_mismatches", 0)}},
            {"points", {{{"step", 0}}}}};
    } else if (order.request == "train") {
        result = {{"observation",
                   {metric("final_loss", 1.0), metric("held_out_loss", 1.0),
                    metric("nonfinite_steps", 0), metric("unused_gradients", 0)}},
                  {"losses", losses(300, 2.0)},
                  {"grad_norms", losses(300, 1.0 + wrong)}};
    } else if (order.request == "parallel_step") {
        result = {{"observation",
                   {metric("relative_loss", 0.0), metric("tensor_relative_error_max", wrong),
                    metric("weights_relative_error", 0.0), metric("tensors", 30)}},
                  {"worst_tensor", "model.norm.weight"}};
    } else if (order.request == "train_checkpointed") {
        const auto& params = order.params;
        const bool meant_to_die = params.contains("dies_at") || params.contains("hangs_at") ||
                                  params.contains("dies_in_checkpoint");
        if (meant_to_die) return {.ending = device::Ending::kCrashed, .message = "killed"};
        const bool resumed = params.value("resume", false);
        const std::size_t steps = params.value("steps", std::size_t{0});
        const std::size_t first = resumed ? steps / 2 : 0;
        result = {{"observation",
                   {metric("checkpoints", 3), metric("checkpoint_save", 0.1),
                    metric("checkpoint_load", 0.1), metric("checkpoint_bytes", 1e6)}},
                  {"first_step", first},
                  {"losses", losses(steps - first, resumed ? 2.0 + wrong : 2.0)},
                  {"state_hash", "abc"}};
    } else if (order.request == "generate") {
        const auto rows = order.params["text"]["rows"].get<std::size_t>();
        const auto prompt = order.params["text"]["length"].get<std::size_t>();
        const auto written = order.params["new_tokens"].get<std::size_t>();
        result = {{"observation", {metric("tokens", 3), metric("nonfinite_logprobs", 0)}},
                  {"tokens", Json(rows, Json(prompt + written, 1))},
                  {"logprobs", Json(rows, Json(written, -2.0 - wrong))},
                  {"weights_hash", "abc"},
                  {"quantisation", ""}};
    } else if (order.request == "logprobs" && order.params.contains("tokens")) {
        const Json& tokens = order.params["tokens"];
        const std::size_t places = tokens[0].size() - 1;
        result = {{"observation", {metric("tokens", 3), metric("nonfinite_logprobs", 0)}},
                  {"scores",
                   {{"whole",
                     {{"logprobs", Json(tokens.size(), Json(places, -2.0))},
                      {"likeliest", Json(tokens.size(), Json(places, 1))}}}}},
                  {"tokens", tokens},
                  {"weights_hash", "abc"},
                  {"quantisation", ""}};
    } else if (order.request == "store") {
        result = {{"port", 4711}};
    } else if (order.request == "rendezvous") {
        result = {{"backend", "canned"}, {"seconds", 0.1}};
    } else if (order.request == "collective") {
        result = {{"observation",
                   {metric("mismatches", wrong), metric("wrong_collectives", wrong),
                    metric("unrepeated", wrong), metric("collectives", 3)}},
                  {"backend", "canned"},
                  {"staged", false},
                  {"cases", Json::array()}};
    } else if (order.request == "soak") {
        result = {{"observation",
                   {metric("rounds", 2), metric("steps", 16), metric("nonfinite_steps", 0),
                    metric("row_sum_ratio_max", 0.5), metric("device_growth_bytes", 0),
                    metric("host_growth_bytes", 0), metric("seconds", 8)}},
                  {"hashes", tampered ? Json{{"a", 1}, {"b", 1}} : Json{{"a", 2}}}};
    } else if (order.request == "logprobs") {
        const Json way = {{"logprobs", {losses(2, -2.0 - wrong)}}, {"likeliest", {{1, 1}}}};
        result = {{"observation", {metric("tokens", 3), metric("nonfinite_logprobs", 0)}},
                  {"scores", {{"whole", way}, {"alone", way}, {"decode", way}}},
                  {"tokens", {{1, 1, 1}}},
                  {"weights_hash", "abc"},
                  {"quantisation", ""}};
    }
    return {.ending = device::Ending::kResult, .result = std::move(result), .duration = {0.1}};
}

inline device::Reply died(device::Ending ending, std::string message) {
    return {
        .ending = ending, .message = std::move(message), .duration = {1.0}, .stderr_text = "stack"};
}
inline device::Reply not_started(std::string kind, std::string message) {
    return {.ending = device::Ending::kNotStarted,
            .error_kind = std::move(kind),
            .message = std::move(message)};
}

class Canned final : public device::Workers {
public:
    // `names[i]` is the device of member i.
    Canned(MovedClock& clock, std::vector<std::string> names)
        : clock_(clock), names_(std::move(names)), pending_(names_.size()) {}

    // Says what member `member` answers to its `nth` order of that kind (from 1); nothing: healthy.
    using Script = std::function<std::optional<device::Reply>(std::size_t member,
                                                              const device::Order& order, int nth)>;
    Script script;
    std::vector<std::pair<std::size_t, device::Order>> asked;
    int kills = 0;
    std::size_t in_flight_max = 0;

    [[nodiscard]] std::size_t size() const override { return names_.size(); }
    [[nodiscard]] bool idle(std::size_t member) const override { return !pending_[member]; }
    void ask(std::size_t member, device::Order order) override {
        ASCERTAIN_ASSERT(idle(member));
        asked.emplace_back(member, order);
        pending_[member] = std::move(order);
        std::size_t in_flight = 0;
        for (const auto& one : pending_) in_flight += one ? 1 : 0;
        in_flight_max = std::max(in_flight_max, in_flight);
    }
    [[nodiscard]] std::vector<device::Event> poll(Seconds wait) override {
        for (std::size_t turn = 0; turn < pending_.size(); ++turn) {
            const std::size_t member = (last_ + 1 + turn) % pending_.size();
            if (!pending_[member]) continue;
            last_ = member;
            const device::Order order = *std::exchange(pending_[member], std::nullopt);
            const int nth = ++counts_[{member, order.request}];
            std::optional<device::Reply> reply;
            if (script) reply = script(member, order, nth);
            if (!reply) reply = healthy(names_[member], order);
            clock_.advance(reply->duration);
            return {{member, *std::move(reply)}};
        }
        clock_.advance(wait);
        return {};
    }
    void kill_all() override {
        ++kills;
        for (auto& one : pending_) one.reset();
    }

private:
    MovedClock& clock_;
    std::vector<std::string> names_;
    std::vector<std::optional<device::Order>> pending_;
    std::map<std::pair<std::size_t, std::string>, int> counts_;
    std::size_t last_ = 0;
};

class Keeper final : public Observer {
public:
    std::vector<Attempt> attempts;
    std::vector<std::string> began;
    std::function<Result<void>(const Attempt&)> on_end;

    void attempt_began(const Item& item, Role role, int number) override {
        began.push_back(item.id + " " + std::string(name_of(role)) + " " + std::to_string(number));
    }
    void progressed(const Item& /*item*/, Role /*role*/,
                    const device::Progress& /*progress*/) override {}
    Result<void> attempt_ended(const Item& /*item*/, const Attempt& attempt) override {
        attempts.push_back(attempt);
        return on_end ? on_end(attempt) : Result<void>();
    }

    // "measure 1: completed, control 1: completed" of one check.
    [[nodiscard]] std::string story(std::string_view check, std::string_view device = "cpu") const {
        std::string text;
        for (const Attempt& attempt : attempts) {
            if (attempt.check != check || attempt.device != device) continue;
            if (!text.empty()) text += ", ";
            text += std::string(name_of(attempt.role)) + " " + std::to_string(attempt.number) +
                    ": " + std::string(name_of(attempt.outcome));
            if (!attempt.category.empty()) text += " (" + attempt.category + ")";
        }
        return text;
    }
};

// What the shipped criteria would say of these canned numbers.
inline Opinion strict_opinion(const checks::Definition& /*definition*/, const std::string& /*id*/,
                              const Observation& observation) {
    const auto beyond = [&](const char* name, double bound) {
        const Metric* found = find_metric(observation, name);
        return found != nullptr && found->value && std::abs(*found->value) > bound;
    };
    const bool bad =
        beyond("share_not_correctly_rounded", 0.005) || beyond("distinct_outputs", 1.0) ||
        beyond("operators_missing", 0.0) || beyond("relative_loss_max", 1e-6) ||
        beyond("logprob_error_max", 1e-4) || beyond("resumed_loss_difference_max", 0.0) ||
        beyond("equivalence_reach", 1.0) || beyond("tensor_relative_error_max", 3e-5) ||
        beyond("early_grad_norm_log_ratio_mean", 0.003) || beyond("mismatches", 0.0) ||
        beyond("rollout_error_max", 1e-4) || beyond("devices_off", 0.0);
    const Metric* memory = find_metric(observation, "memory_bytes");
    const bool no_memory = memory != nullptr && (!memory->value || *memory->value < 1.0);
    return bad || no_memory ? Opinion::kSuspect : Opinion::kGood;
}

}  // namespace ascertain::qualification::testing
