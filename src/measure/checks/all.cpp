// The table of checks. A new one is its file, its line in steps.hpp and CMake, and its row here.
#include <fmt/format.h>

#include <array>

#include "measure/checks/check.hpp"
#include "measure/checks/steps.hpp"

namespace ascertain::checks {
namespace {

// The controls' corruptions are small: a check that misses a tenth of a percent is no check.
constexpr std::array kAll{
    Definition{
        .id = "device.identity",
        .asks = "Is the device what it was called, and does it offer the training precision?",
        .question = Question::kCompute,
        .family = "device",
        .subjects = Subjects::kNone,
        .tamper =
            R"({"kind": "answer", "patch": [{"op": "replace", "path": "/memory_bytes", "value": 0},
            {"op": "replace", "path": "/dtypes", "value": []}]})",
        .cost = {0.1},
        .step = device_identity,
    },
    Definition{
        .id = "speed.calibration",
        .asks = "How fast does the device multiply matrices and move memory?",
        .question = Question::kFinish,
        .family = "speed",
        .subjects = Subjects::kNone,
        .required = false,
        .timing = true,
        .tamper = "",
        .cost = {3.0},
        .step = speed_calibration,
    },
    Definition{
        .id = "speed.gemm",
        .asks = "Do the model's other matrix products take as long as was foretold?",
        .question = Question::kFinish,
        .family = "speed",
        .subjects = Subjects::kNone,
        .required = false,
        .timing = true,
        .tamper = "",
        .cost = {3.0},
        .step = speed_gemm,
    },
    Definition{
        .id = "ops.coverage",
        .asks = "Does a training step of this model run on the device, with every operator?",
        .question = Question::kCompute,
        .family = "coverage",
        .subjects = Subjects::kNone,
        .tamper = R"({"kind": "drop_operator"})",
        .cost = {8.0},
        .step = ops_coverage,
    },
    Definition{
        .id = "ops.numerics",
        .asks = "Is what the device computes for this operator right?",
        .question = Question::kCompute,
        .family = "numerics",
        .subjects = Subjects::kOperators,
        .tamper = R"({"kind": "scale", "amount": 0.01})",
        .cost = {0.4},
        .step = ops_numerics,
    },
    Definition{
        .id = "ops.repeat",
        .asks = "Does the same call on the same inputs give the same bits every time?",
        .question = Question::kCompute,
        .family = "repeat",
        .subjects = Subjects::kOperators,
        .tamper = R"({"kind": "nondeterministic"})",
        .cost = {0.1},
        .step = ops_repeat,
    },
    Definition{
        .id = "trial.forced_fp32",
        .asks = "With the same weights and batch, does the device compute the same step in fp32?",
        .question = Question::kLearn,
        .family = "forced_fp32",
        .subjects = Subjects::kNone,
        .tamper = R"({"kind": "scale", "amount": 0.001})",
        .cost = {5.0},
        .step = trial_forced_fp32,
    },
    Definition{
        .id = "trial.forced",
        .asks = "Does it compute the same step in the precision of the campaign?",
        .question = Question::kLearn,
        .family = "forced",
        .subjects = Subjects::kNone,
        .tamper = R"({"kind": "scale", "amount": 0.05})",
        .cost = {6.0},
        .step = trial_forced,
    },
    Definition{
        .id = "trial.free_run",
        .asks = "Does the model learn on the device as it does on the reference?",
        .question = Question::kLearn,
        .family = "free_run",
        .subjects = Subjects::kNone,
        .tamper = R"({"kind": "scale", "amount": 0.02})",
        .cost = {20.0},
        .step = trial_free_run,
    },
    Definition{
        .id = "handoff.fp32",
        .asks = "Carried across, does the model say the same of the same text, in fp32?",
        .question = Question::kServe,
        .family = "handoff_fp32",
        .subjects = Subjects::kNone,
        .tamper = R"({"kind": "scale", "amount": 0.001})",
        .cost = {3.0},
        .step = handoff_fp32,
    },
    Definition{
        .id = "handoff.precision",
        .asks = "And in the precision it is served in, token by token and in a batch?",
        .question = Question::kServe,
        .family = "handoff",
        .subjects = Subjects::kNone,
        .tamper = R"({"kind": "scale", "amount": 0.05})",
        .cost = {4.0},
        .step = handoff_precision,
    },
};

}  // namespace

std::span<const Definition> all() {
    return kAll;
}

const Definition* find(std::string_view id) {
    for (const Definition& definition : kAll) {
        const bool begins = id.starts_with(definition.id);
        if (begins && (id.size() == definition.id.size() || id[definition.id.size()] == '.')) {
            return &definition;
        }
    }
    return nullptr;
}

GiveUp give_up(const Answer& answer) {
    using Reason = GiveUp::Reason;
    const std::string message = answer.message.empty()
                                    ? fmt::format("the worker answered {}", answer.error_kind)
                                    : answer.message;
    if (answer.kind != AnswerKind::kError) return {Reason::kHarnessError, message};
    if (answer.error_kind == "unsupported") return {Reason::kUnsupported, message};
    if (answer.error_kind == "out_of_memory") return {Reason::kOutOfMemory, message};
    if (answer.error_kind == "device_error") return {Reason::kDeviceError, message};
    if (answer.error_kind == "no_reference") return {Reason::kNoReference, message};
    // invalid_request, internal and whatever a later worker may invent are never the device's
    // fault.
    return {Reason::kHarnessError, message};
}

}  // namespace ascertain::checks
