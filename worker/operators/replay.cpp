// replay: one operator call on the device, held against fp64 on the CPU.
#include "worker/operators/replay.hpp"

#include <ATen/ops/empty_like.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "worker/host/failure.hpp"
#include "worker/operators/accumulator.hpp"
#include "worker/operators/dtype.hpp"
#include "worker/operators/family.hpp"
#include "worker/operators/judgement.hpp"
#include "worker/operators/prepare.hpp"
#include "worker/operators/projection.hpp"
#include "worker/operators/recorder.hpp"
#include "worker/operators/reference.hpp"
#include "worker/operators/sample.hpp"

namespace ascertain::operators {
namespace {

// Inputs on the host and on the device, lifted to fp64 and perturbed, with outputs of their size.
constexpr double kCopies = 6.0;
// Legal errors of a whole tensor lie this far above those of a perturbation, at most; the same
// margin as the criterion for error_ratio. research: sequential 2.1 to 3.9, truncating 18 to 48.
constexpr double kLegalSpread = 64.0;
// An element's error over the emulation's standard deviation: ten of these never come by chance.
constexpr double kSpreadFactor = 4.0;
// The same for operators of the user's or a vendor's own, over the effect of inputs that are off by
// one rounding of the working dtype.
constexpr double kForeignSpread = 8.0;
// Legal bias: what chance explains, and a quarter of the smallest fault worth finding.
constexpr double kBiasZ = 5.3;
constexpr double kBiasFloor = 2.5e-4;

Error no_reference(std::string reason) {
    return {ErrorCode::kUnknownValue, std::move(reason), ""};
}

// The dtype of the first floating tensor: what the kernel works in.
c10::ScalarType working_dtype(const Case& operator_case) {
    for (const Argument& argument : operator_case.arguments) {
        const auto* spec = std::get_if<TensorSpec>(&argument);
        if (spec != nullptr && at::isFloatingType(spec->dtype)) return spec->dtype;
        const auto* list = std::get_if<TensorList>(&argument);
        if (list != nullptr && !list->empty() && list->front() &&
            at::isFloatingType(list->front()->dtype)) {
            return list->front()->dtype;
        }
    }
    return at::kFloat;
}

// Everything that judging one call needs.
struct Evidence {
    Family family = Family::kOther;
    bool foreign = false;  // not torch's own: what it rounds inside nobody knows
    c10::ScalarType working = at::kFloat;
    std::vector<Output> got;   // on the CPU, sampled
    Reference reference;       // of the sample
    Reference moved;           // reference of perturbed inputs; empty when not needed
    std::vector<Output> fp32;  // the CPU's own answer, sampled; empty when not needed
    std::optional<Reduction> reduction;
    std::optional<double> projection;  // of the whole product, where only a sample is compared
    const Stack* host = nullptr;       // the sampled stack as it was, unlifted
};

at::Tensor ulp_tensor(const at::Tensor& values, c10::ScalarType dtype) {
    const FloatFormat format = format_of(dtype);
    const at::Tensor source = values.contiguous();
    at::Tensor result = at::empty_like(source);
    const double* from = source.const_data_ptr<double>();
    double* to = result.mutable_data_ptr<double>();
    for (std::int64_t i = 0; i < source.numel(); ++i) {
        to[i] = ulp_at(std::isfinite(from[i]) ? from[i] : 0.0, format);
    }
    return result;
}

double half_ulp_relative(c10::ScalarType dtype) {
    return std::ldexp(1.0, -format_of(dtype).precision);
}

// 16-bit results of an operator that may round inside are judged by a bound, not by a share.
Rule rule_of(const Evidence& evidence, c10::ScalarType output, std::int64_t elements) {
    const Rule rule = rule_for(evidence.family, output, elements);
    return evidence.foreign && rule == Rule::kRounding ? Rule::kBounded : rule;
}

// Inputs off by up to one rounding of the working dtype: what rounding inside does to the result.
Stack rounded_inside(const Stack& real, std::uint64_t seed, c10::ScalarType working) {
    const double scale = half_ulp_relative(working) / std::ldexp(1.0, -24);
    Stack moved = perturbed(real, seed);
    for (std::size_t i = 0; i < moved.size(); ++i) {
        if (!moved[i].isTensor() || !real[i].toTensor().defined()) continue;
        const at::Tensor from = real[i].toTensor();
        if (!at::isFloatingType(from.scalar_type())) continue;
        moved[i] = from.add(moved[i].toTensor().sub(from).mul(scale));
    }
    return moved;
}

// How far a result of the family may lie from fp64, element by element.
at::Tensor bound_of(const Evidence& evidence, std::size_t i, c10::ScalarType output) {
    const at::Tensor& reference = evidence.reference.values[i];
    const at::Tensor ulp = ulp_tensor(reference, output);
    const at::Tensor& spread = evidence.reference.spread[i];
    const double factor = evidence.foreign ? kForeignSpread : kLegalSpread;
    const double wide = evidence.moved.values.empty()
                            ? 0.0
                            : factor * rms_difference(evidence.moved.values[i], reference);
    switch (evidence.family) {
        case Family::kMean: return ulp.mul(1.5).add(wide);
        case Family::kLoss: return ulp.mul(2.5).add(wide);
        case Family::kScatter:
            return spread.defined() ? ulp.mul(0.5).add(spread.mul(half_ulp_relative(output))) : ulp;
        case Family::kAttention:
        case Family::kAttentionBackward:
            if (!spread.defined()) return ulp.add(wide);
            return ulp.add(spread.mul(kSpreadFactor * half_ulp_relative(evidence.working)));
        default: return ulp.add(wide);
    }
}

// The size of error that fp32 arithmetic is entitled to: that of inputs off by their last bit, of
// the CPU's own fp32, or of one ideal rounding, whichever is largest.
double legal_rms(const Evidence& evidence, std::size_t i, const Distance& distance) {
    const at::Tensor& reference = evidence.reference.values[i];
    double legal = std::max(distance.rms_ideal(),
                            distance.rms_reference() * std::ldexp(1.0, -24) / std::sqrt(3.0));
    if (!evidence.moved.values.empty()) {
        legal = std::max(legal, rms_difference(evidence.moved.values[i], reference));
    }
    if (!evidence.fp32.empty()) {
        legal = std::max(legal, rms_difference(evidence.fp32[i].value.to(at::kDouble), reference));
    }
    // Twice what eight lanes make is legal: the criterion for the ratio is kLegalSpread.
    legal = std::max(legal, 2.0 / kLegalSpread * evidence.reference.lanes_error);
    return legal;
}

// Whether an output holds places in the first argument, where equal values may stand in any order.
bool points_into_input(const std::string& op, const std::string& output) {
    if (op.starts_with("aten::arg")) return true;
    return output == "indices" &&
           (op == "aten::topk" || op == "aten::sort" || op == "aten::max" || op == "aten::min");
}

// Integer and bool outputs, and floating ones of operators that only move elements.
std::int64_t count_mismatches(const Prepared& prepared, const Evidence& evidence, std::size_t i) {
    const at::Tensor& got = evidence.got[i].value;
    const at::Tensor& expected = evidence.reference.values[i];
    if (at::isFloatingType(got.scalar_type())) return 0;  // counted by compare()
    const std::optional<int> dimension = prepared.op.schema().argumentIndexWithName("dim");
    const bool indices = got.scalar_type() == at::kLong &&
                         points_into_input(prepared.operator_case.op, evidence.got[i].name) &&
                         dimension && (*evidence.host)[0].isTensor();
    if (indices && (*evidence.host)[static_cast<std::size_t>(*dimension)].isInt()) {
        const at::Tensor values = (*evidence.host)[0].toTensor();
        const std::int64_t along = (*evidence.host)[static_cast<std::size_t>(*dimension)].toInt();
        if (values.dim() == got.dim() && values.dim() > 0) {
            const bool distinct = prepared.operator_case.op != "aten::argmax";
            return index_mismatches(values, along, got, expected, distinct);
        }
    }
    return got.ne(expected.to(got.scalar_type())).sum().item<std::int64_t>();
}

bool is_bulk(const Evidence& evidence, const Judged& judged) {
    const Family family = evidence.family;
    if (judged.rule == Rule::kExact) return false;
    if (judged.rule == Rule::kBounded && evidence.foreign) return false;
    if (judged.rule == Rule::kBounded && (family == Family::kMean || family == Family::kLoss)) {
        return false;
    }
    return judged.elements >= kShareElementsMin;
}

Judged judge_output(const Prepared& prepared, const Evidence& evidence, std::size_t i) {
    const at::Tensor& got = evidence.got[i].value;
    const c10::ScalarType dtype = got.scalar_type();
    Judged judged;
    judged.name = evidence.got[i].name;
    judged.dtype = name_of(dtype);
    judged.rule = rule_of(evidence, dtype, got.numel());
    judged.elements = got.numel();
    judged.exact_mismatches = count_mismatches(prepared, evidence, i);
    if (!at::isFloatingType(dtype)) return judged;
    at::Tensor bound;
    if (judged.rule == Rule::kBounded) bound = bound_of(evidence, i, dtype);
    judged.distance = compare(got, evidence.reference.values[i].to(at::kDouble), bound);
    if (judged.rule == Rule::kExact) {
        judged.exact_mismatches = judged.distance.not_ideal + judged.distance.nonfinite_mismatches;
    }
    judged.legal_rms = legal_rms(evidence, i, judged.distance);
    judged.emulated_rms = evidence.reference.spread_rms[i];
    judged.is_bulk = is_bulk(evidence, judged);
    if (evidence.family == Family::kAttention || evidence.family == Family::kAttentionBackward) {
        const double z = judged.distance.bias_z();
        const double by_chance = z == 0.0 ? 0.0 : std::abs(judged.distance.bias() / z) * kBiasZ;
        judged.bias_allowed = std::max(kBiasFloor, by_chance);
    }
    return judged;
}

// Whether any output is judged by errors that a perturbed input explains.
bool needs_perturbation(const Evidence& evidence) {
    return std::any_of(evidence.got.begin(), evidence.got.end(), [&](const Output& output) {
        const Rule rule = rule_of(evidence, output.value.scalar_type(), output.value.numel());
        return rule == Rule::kErrorRatio ||
               (rule == Rule::kBounded && evidence.family != Family::kScatter);
    });
}

bool needs_fp32(const Evidence& evidence, at::Device device) {
    // On the CPU the answer under test would be its own yardstick.
    if (device.is_cpu()) return false;
    return std::any_of(evidence.got.begin(), evidence.got.end(), [](const Output& output) {
        return output.value.scalar_type() == at::kFloat;
    });
}

// Runs the references. Errors: kUnknownValue when there is none.
Result<void> gather(const Prepared& prepared, at::Device device, const Stack& host,
                    Evidence& evidence) {
    const Case& operator_case = prepared.operator_case;
    Result<void> done = worker::guarded("reference", [&] {
        // What only moves elements needs no wider ones.
        const Stack real =
            evidence.family == Family::kMove ? host : lifted(prepared.op.schema(), host);
        evidence.reduction =
            reduction_of(operator_case, real, evidence.got.front().value.scalar_type());
        evidence.reference = reference_of(operator_case, prepared.op, real, evidence.working);
        // Where a whole tensor is summed, plain accumulation errs more than inputs do.
        if (evidence.reference.lanes_error == 0.0 && needs_perturbation(evidence)) {
            const Stack moved = evidence.foreign
                                    ? rounded_inside(real, prepared.seed, evidence.working)
                                    : perturbed(real, prepared.seed);
            evidence.moved = reference_of(operator_case, prepared.op, moved, evidence.working);
        }
    });
    if (!done) {
        if (done.error().code == ErrorCode::kEnvironment) return done.error();
        return no_reference(
            fmt::format("fp64 on the CPU is not possible: {}", done.error().message));
    }
    if (needs_fp32(evidence, device)) {
        // Not every vendor operator has a CPU form; then the perturbation alone is the yardstick.
        Result<std::vector<Output>> fp32 = worker::guarded(
            "fp32", [&] { return call(operator_case, prepared.op, own_copy(host)); });
        if (fp32) evidence.fp32 = std::move(*fp32);
    }
    if (evidence.reference.values.size() != evidence.got.size()) {
        return no_reference(fmt::format("the device gave {} tensors and the reference {}",
                                        evidence.got.size(), evidence.reference.values.size()));
    }
    for (std::size_t i = 0; i < evidence.got.size(); ++i) {
        if (evidence.reference.values[i].sizes() != evidence.got[i].value.sizes()) {
            return Error{
                ErrorCode::kDeviceUnavailable,
                fmt::format("output {} has another shape than the reference", evidence.got[i].name),
                operator_case.op};
        }
    }
    return {};
}

Rule principal_rule(const std::vector<Judged>& outputs) {
    const auto largest =
        std::max_element(outputs.begin(), outputs.end(),
                         [](const Judged& a, const Judged& b) { return a.elements < b.elements; });
    return largest == outputs.end() ? Rule::kExact : largest->rule;
}

std::string_view kind_of_reference(const Evidence& evidence, Rule rule) {
    return rule == Rule::kExact ? "exact" : evidence.reference.kind;
}

std::vector<at::Tensor> tensors_of(const std::vector<Output>& outputs) {
    std::vector<at::Tensor> tensors;
    for (const Output& output : outputs) tensors.push_back(output.value);
    return tensors;
}

}  // namespace

Result<Json> replay(worker::Session& session, const Json& params) {
    const Result<Prepared> prepared = prepare(params, kCopies);
    if (!prepared) return prepared.error();
    if (is_random(*prepared)) {
        return no_reference("it draws random numbers: judged by its statistics, not by values");
    }
    const Case& operator_case = prepared->operator_case;
    const c10::FunctionSchema& schema = prepared->op.schema();
    const Inputs inputs = make_inputs(operator_case, prepared->seed);

    Evidence evidence;
    evidence.family = family_of(operator_case.op);
    evidence.foreign = is_foreign(operator_case.op);
    evidence.working = working_dtype(operator_case);
    const Stack host = assemble_shared(operator_case, schema, inputs);
    Result<std::vector<Output>> outputs =
        run_on_device(*prepared, assemble(operator_case, schema, inputs, session.device));
    if (!outputs) return outputs.error();
    if (outputs->empty()) return no_reference("it gives no tensor");

    const SampleKind kind = sample_kind(operator_case, evidence.family, host, *outputs);
    const Stack part = sampled_stack(operator_case, kind, prepared->seed, host);
    evidence.got = sampled_outputs(kind, prepared->seed, *outputs);
    const std::string output_hash = hash_of(tensors_of(*outputs));
    if (kind == SampleKind::kMatrix) {
        evidence.projection =
            projection_ratio(operator_case, host, outputs->front().value, prepared->seed);
    }
    outputs->clear();
    if (prepared->tamper) corrupt(*prepared->tamper, evidence.got);
    evidence.host = &part;
    const Result<void> gathered = gather(*prepared, session.device, part, evidence);
    if (!gathered) return gathered.error();

    std::vector<Judged> judged;
    for (std::size_t i = 0; i < evidence.got.size(); ++i) {
        judged.push_back(judge_output(*prepared, evidence, i));
    }
    const Rule rule = principal_rule(judged);
    Observation observation = observation_of(judged, evidence.reduction);
    if (evidence.projection) {
        observation.push_back({"projection_ratio", *evidence.projection, "ratio", 1, {}, {}, ""});
    }
    return Json{{"observation", to_json(observation)},
                {"reference", kind_of_reference(evidence, rule)},
                {"reason", nullptr},
                {"family", name_of(evidence.family)},
                {"rule", name_of(rule)},
                {"rule_metric", metric_of(rule)},
                {"sampled", kind != SampleKind::kWhole},
                {"outputs", outputs_document(judged)},
                {"worst", worst_document(judged)},
                {"histogram", histogram_document(judged)},
                {"inputs_hash", hash_of(inputs)},
                {"output_hash", output_hash},
                {"tampered", prepared->tamper.has_value()}};
}

}  // namespace ascertain::operators
