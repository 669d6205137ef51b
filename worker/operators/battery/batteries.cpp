#include "worker/operators/battery/batteries.hpp"

#include <fmt/format.h>

#include <array>
#include <string>
#include <vector>

#include "base/text.hpp"
#include "worker/operators/dtype.hpp"
#include "worker/operators/family.hpp"
#include "worker/operators/recorder.hpp"

namespace ascertain::operators {
namespace battery {
namespace {

constexpr std::array kBatteries{
    Battery{"integer_products", integer_products},
    Battery{"shapes", shapes},
    Battery{"layouts", layouts},
    Battery{"gradients", gradients},
    Battery{"long_sums", long_sums},
    Battery{"attention", attention},
    Battery{"special_values", special_values},
    Battery{"indices", indices},
    Battery{"loss", loss},
    Battery{"optimizer", optimizer},
    Battery{"overflow", overflow},
    Battery{"experts", experts},
    Battery{"random_numbers", random_numbers},
    Battery{"every_input", every_input},
    Battery{"accumulator", accumulator},
    Battery{"memory", memory},
    Battery{"endurance", endurance},
    Battery{"large", large},
    Battery{"timing", timing},
};

constexpr std::string_view kWhere = "numerics";

Result<Size> size_from(const Json& params) {
    const Result<std::string> name = text_at(params, "size", kWhere);
    if (!name) return name.error();
    constexpr std::array<std::string_view, 4> kNames{"least", "quick", "standard", "full"};
    for (std::size_t i = 0; i < kNames.size(); ++i) {
        if (kNames[i] == *name) return static_cast<Size>(i);
    }
    return Error{ErrorCode::kBadInput, "size must be least, quick, standard or full",
                 std::string(kWhere)};
}

Result<Battery> battery_from(const Json& params) {
    const Result<std::string> name = text_at(params, "battery", kWhere);
    if (!name) return name.error();
    std::vector<std::string> names;
    for (const Battery& one : kBatteries) {
        if (one.name == *name) return one;
        names.emplace_back(one.name);
    }
    return Error{
        ErrorCode::kBadInput,
        fmt::format("unknown battery \"{}\"{}", shortened(*name, 32), did_you_mean(*name, names)),
        std::string(kWhere)};
}

constexpr std::size_t kCallsShown = 8;

// Whether a call is the device's: references are in fp64, and inputs are drawn and moved.
bool is_under_test(const RecordedCall& call) {
    if (!call.compute || !call.call_case || family_of(call.op) == Family::kRandom) return false;
    if (call.op == "aten::copy_" || call.op == "aten::_to_copy") return false;
    for (const Argument& argument : call.call_case->arguments) {
        const auto* spec = std::get_if<TensorSpec>(&argument);
        if (spec != nullptr && at::isFloatingType(spec->dtype)) return spec->dtype != at::kDouble;
    }
    return false;
}

// The operator calls that a question makes, as cases: what a vendor is shown of it.
Json calls_of(worker::Session& session, const Battery& asked, Bench::Request request,
              const std::string& question) {
    request.question = question;
    Recorder recorder(session.device, /*keep_times=*/false);
    recorder.set_phase("battery");
    Bench bench(session, std::move(request));
    asked.run(bench);
    Json calls = Json::array();
    for (const RecordedCall& call : recorder.stop().calls) {
        if (calls.size() < kCallsShown && is_under_test(call))
            calls.push_back(to_json(*call.call_case));
    }
    return calls;
}

}  // namespace

std::span<const Battery> batteries() {
    return kBatteries;
}

}  // namespace battery

Result<Json> numerics(worker::Session& session, const Json& params) {
    const Result<battery::Battery> chosen = battery::battery_from(params);
    if (!chosen) return chosen.error();
    battery::Bench::Request request;
    const Result<long long> seed = integer_at(params, "seed", battery::kWhere);
    if (!seed) return seed.error();
    request.seed = static_cast<std::uint64_t>(*seed);
    const Result<battery::Size> size = battery::size_from(params);
    if (!size) return size.error();
    request.size = *size;
    const Result<std::string> dtype_name = text_at(params, "dtype", battery::kWhere);
    if (!dtype_name) return dtype_name.error();
    const Result<c10::ScalarType> dtype = dtype_from(*dtype_name);
    if (!dtype) return dtype.error();
    if (!c10::isFloatingType(*dtype)) {
        return Error{ErrorCode::kBadInput, "dtype must be a floating one",
                     std::string(battery::kWhere)};
    }
    // Eight-bit formats are asked about by themselves; around them training works in bf16.
    request.dtype = c10::elementSize(*dtype) == 1 ? c10::ScalarType::BFloat16 : *dtype;
    if (params.contains("question")) {
        const Result<std::string> question = text_at(params, "question", battery::kWhere);
        if (!question) return question.error();
        request.question = *question;
    }
    const Result<std::optional<Tamper>> tamper = tamper_from(params);
    if (!tamper) return tamper.error();
    request.tamper = *tamper;
    battery::Bench bench(session, request);
    chosen->run(bench);
    Json result = bench.result();
    if (!result["failures"].empty() && !request.tamper) {
        result["calls"] = battery::calls_of(session, *chosen, std::move(request),
                                            result["failures"][0].value("question", ""));
    }
    return result;
}

}  // namespace ascertain::operators
