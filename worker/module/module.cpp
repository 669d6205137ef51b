#include "worker/module/module.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/observation.hpp"
#include "worker/module/errors.hpp"
#include "worker/module/python.hpp"
#include "worker/operators/prepare.hpp"
#include "worker/operators/recorder.hpp"
#include "worker/operators/recording_document.hpp"
#include "worker/operators/tamper.hpp"

namespace ascertain::module {
namespace {

constexpr int kTwins = 3;
constexpr std::size_t kTensorsShown = 40;
constexpr std::array<std::string_view, 4> kModes = {"record", "eager", "compiled", "graphed"};

struct Question {
    std::string mode;
    std::uint64_t seed = 0;
    std::optional<operators::Tamper> tamper;
};

Result<Question> question_from(const Json& params) {
    const Result<std::string> mode = text_at(params, "mode", "params");
    if (!mode) return mode.error();
    if (std::find(kModes.begin(), kModes.end(), *mode) == kModes.end()) {
        return Error{ErrorCode::kBadInput, "must be record, eager, compiled or graphed",
                     "params: mode"};
    }
    const Result<std::int64_t> seed = operators::count_at(params, "seed", 0, std::int64_t{1} << 53);
    if (!seed) return seed.error();
    const auto tamper = operators::tamper_from(params);
    if (!tamper) return tamper.error();
    return Question{*mode, static_cast<std::uint64_t>(*seed), *tamper};
}

std::string joined(const Json& names) {
    std::string all;
    for (const Json& name : names) {
        all += fmt::format("{}{}", all.empty() ? "" : ", ", name.get<std::string>());
    }
    return all;
}

// What the reference cannot do cannot be judged; what the user's file does wrong stays its fault.
Error without_reference(const Error& error) {
    if (error.code == ErrorCode::kBadInput || error.code == ErrorCode::kEnvironment) return error;
    return {
        ErrorCode::kUnknownValue,
        fmt::format("the reference (fp64, eager, CPU) cannot run this module: {}", error.message),
        error.where};
}

Result<Values> pass(const std::string& how, const std::string& device, std::uint64_t seed,
                    int replica) {
    const auto ready = prepare(how, device, seed, replica);
    if (!ready) return ready.error();
    return run();
}

Result<std::shared_ptr<const Yardstick>> make_yardstick(const worker::Session& session,
                                                        std::uint64_t seed) {
    auto yardstick = std::make_shared<Yardstick>();
    auto reference = pass("reference", "cpu", seed, 0);
    if (!reference) return without_reference(reference.error());
    if (const Json& random = reference->facts["random"]; !random.empty()) {
        return Error{ErrorCode::kUnknownValue,
                     fmt::format("the module draws random numbers ({}), which nobody can foretell: "
                                 "set dropout to zero or call .eval() on those parts",
                                 joined(random)),
                     "module"};
    }
    yardstick->reference = *std::move(reference);
    for (int replica = 0; replica < kTwins; ++replica) {
        if (session.progress)
            session.progress(0.2 + 0.15 * replica, "what healthy arithmetic gives", {});
        auto twin = pass("twin", "cpu", seed, replica);
        if (!twin) return without_reference(twin.error());
        yardstick->twins.push_back(*std::move(twin));
    }
    return std::shared_ptr<const Yardstick>(std::move(yardstick));
}

// The yardstick is the same for all ways of running the module.
Result<std::shared_ptr<const Yardstick>> yardstick_of(worker::Session& session,
                                                      std::uint64_t seed) {
    const std::string key = fmt::format("module yardstick {}", seed);
    if (session.kept_key == key) return std::static_pointer_cast<const Yardstick>(session.kept);
    auto made = make_yardstick(session, seed);
    if (!made) return made.error();
    session.kept_key = key;
    session.kept = *made;
    return *made;
}

// One pass on the device under the recorder.
struct Recorded {
    Values values;
    operators::Recording recording;
    Json prepared;
    double seconds = 0.0;
};

Result<Recorded> recorded_pass(const worker::Session& session, const std::string& how,
                               std::uint64_t seed) {
    Recorded recorded;
    auto ready = prepare(how, session.device.str(), seed, 0);
    if (!ready) return ready.error();
    recorded.prepared = *std::move(ready);
    if (how == "eager") {  // the first pass warms up
        const auto warm = run();
        if (!warm) return warm.error();
    }
    operators::Recorder recorder(session.device, /*keep_times=*/true, operators::Phases::kSeen);
    auto values = run();
    recorded.recording = recorder.stop();
    if (!values) return values.error();
    recorded.seconds =
        std::max(1e-9, values->facts.value("seconds", 0.0) - recorded.recording.overhead_s);
    recorded.values = *std::move(values);
    return recorded;
}

void corrupt(const operators::Tamper& tamper, Values& values) {
    std::vector<operators::Output> outputs;
    for (std::size_t i = 0; i < values.tensors.size(); ++i) {
        if (values.tensors[i].defined())
            outputs.push_back({std::to_string(i), values.tensors[i].to(at::kCPU)});
    }
    operators::corrupt(tamper, outputs);
    for (const operators::Output& output : outputs)
        values.tensors[std::stoul(output.name)] = output.value;
}

// What judges each operator that is the user's or a vendor's own.
Json foreign_operators(const operators::Recording& recording, const Json& references,
                       const Json& not_widened) {
    std::set<std::string> names;
    for (const operators::RecordedCall& call : recording.calls) {
        if (operators::is_foreign(call.op)) names.insert(call.op);
    }
    const auto has = [](const Json& list, const std::string& name) {
        return std::find(list.begin(), list.end(), Json(name)) != list.end();
    };
    Json list = Json::array();
    for (const std::string& name : names) {
        const char* reference = has(references, name) ? "the function given as its reference"
                                : has(not_widened, name)
                                    ? "none: it has no fp64, its own answer on the CPU stands"
                                    : "its own fp64 kernel on the CPU";
        list.push_back({{"name", name}, {"reference", reference}});
    }
    return list;
}

// Operators that compute in eager mode and do not run any more: fused away.
Json fused_away(const operators::Recording& eager, const operators::Recording& other) {
    const auto computing = [](const operators::Recording& recording) {
        std::set<std::string> names;
        for (const operators::RecordedCall& call : recording.calls) {
            if (call.compute) names.insert(call.op);
        }
        return names;
    };
    const std::set<std::string> left = computing(other);
    Json list = Json::array();
    for (const std::string& name : computing(eager)) {
        if (!left.contains(name)) list.push_back(name);
    }
    return list;
}

Json row_of(const TensorError& one) {
    Json row = {{"name", one.name},
                {"error_ratio", one.ratio},
                {"error_max_ratio", one.max_ratio},
                {"relative_error", one.relative},
                {"relative_error_twin", one.relative_twin}};
    if (one.nonfinite > 0.0) row["nonfinite_mismatches"] = one.nonfinite;
    if (!one.mismatch.empty()) row["mismatch"] = one.mismatch;
    return row;
}

void put_errors(Json& result, std::vector<TensorError> errors) {
    double ratio = 0.0;
    double max_ratio = 0.0;
    double nonfinite = 0.0;
    double mismatched = 0.0;
    double compared = 0.0;
    for (const TensorError& one : errors) {
        ratio = std::max(ratio, one.ratio);
        max_ratio = std::max(max_ratio, one.max_ratio);
        nonfinite += one.nonfinite;
        (one.mismatch.empty() ? compared : mismatched) += 1.0;
    }
    const auto metric = [](const char* name, double value, const char* unit) {
        return Metric{name, value, unit, 1, std::nullopt, std::nullopt, ""};
    };
    result["observation"] = to_json(Observation{
        metric("error_ratio", ratio, "ratio"), metric("error_max_ratio", max_ratio, "ratio"),
        metric("nonfinite_mismatches", nonfinite, "count"),
        metric("mismatched_tensors", mismatched, "count"), metric("tensors", compared, "count")});
    std::stable_sort(errors.begin(), errors.end(), [](const auto& left, const auto& right) {
        const auto rank = [](const TensorError& one) {
            return one.mismatch.empty() ? std::max(one.ratio, one.max_ratio / 3) : 1e300;
        };
        return rank(left) > rank(right);
    });
    Json& rows = result["tensors"] = Json::array();
    for (std::size_t i = 0; i < std::min(kTensorsShown, errors.size()); ++i)
        rows.push_back(row_of(errors[i]));
}

Result<Json> record(const worker::Session& session, const Question& question) {
    const auto recorded = recorded_pass(session, "eager", question.seed);
    if (!recorded) return recorded.error();
    const auto unseen = bypassed();
    if (!unseen) return unseen.error();
    return Json{
        {"cases", operators::cases_document(recorded->recording)},
        {"operators", operators::operators_document(recorded->recording, recorded->seconds)},
        {"gemms", operators::gemms_document(recorded->recording)},
        {"bypassed", *unseen},
        {"step_s", recorded->seconds},
        {"observation", Json::array()}};
}

Result<Json> judge(worker::Session& session, const Question& question) {
    if (session.progress) session.progress(0.0, "the module in fp64 on the CPU", {});
    const auto yardstick = yardstick_of(session, question.seed);
    if (!yardstick) return yardstick.error();
    if (session.progress) session.progress(0.7, "the module, " + question.mode, {});
    auto device = recorded_pass(session, question.mode, question.seed);
    if (!device) return device.error();
    Json result = {{"mode", question.mode},
                   {"device_seconds", device->seconds},
                   {"references", device->prepared["references"]}};
    result["foreign_operators"] =
        foreign_operators(device->recording, device->prepared["references"],
                          (*yardstick)->twins.front().facts.value("not_widened", Json::array()));
    if (question.mode != "eager") {
        for (const char* key : {"graphs", "breaks"}) {
            if (device->prepared.contains(key)) result[key] = device->prepared[key];
        }
        const auto eager = recorded_pass(session, "eager", question.seed);
        if (!eager) return eager.error();
        result["fused_away"] = fused_away(eager->recording, device->recording);
    } else {
        const auto unseen = bypassed();
        if (!unseen) return unseen.error();
        result["bypassed"] = *unseen;
    }
    if (question.tamper) {
        corrupt(*question.tamper, device->values);
        result["tampered"] = true;
    }
    put_errors(result, errors_of(**yardstick, device->values));
    return result;
}

}  // namespace

Result<Json> module(worker::Session& session, const Json& params) {
    const auto question = question_from(params);
    if (!question) return question.error();
    return question->mode == "record" ? record(session, *question) : judge(session, *question);
}

}  // namespace ascertain::module
