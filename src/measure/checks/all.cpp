// The table of checks. A new one is its file, its line in steps.hpp and CMake, and its row here.
#include <fmt/format.h>

#include <array>

#include "measure/checks/check.hpp"
#include "measure/checks/ops_battery.hpp"
#include "measure/checks/steps.hpp"
#include "measure/checks/trainer.hpp"

namespace ascertain::checks {
namespace {

// A row whose question is a battery; each is a family of its own, so that each has a control.
constexpr Definition battery(std::string_view id, std::string_view asks, double cost_s,
                             StepFunction step,
                             std::string_view tamper = R"({"kind": "scale", "amount": 0.01})") {
    Definition definition;
    definition.id = id;
    definition.asks = asks;
    definition.family = id;
    definition.tamper = tamper;
    definition.cost = {cost_s};
    definition.step = step;
    return definition;
}

// A row about the module that the user brought, run in one way.
constexpr Definition of_module(std::string_view id, std::string_view asks, double cost_s,
                               StepFunction step) {
    Definition definition;
    definition.id = id;
    definition.asks = asks;
    definition.family = id;
    definition.about_module = true;
    definition.tamper = R"({"kind": "scale", "amount": 0.1})";
    definition.cost = {cost_s};
    definition.step = step;
    return definition;
}

constexpr Definition only_on(std::string_view device_type, Definition definition) {
    definition.device_type = device_type;
    return definition;
}

constexpr Definition timed(Definition definition) {
    definition.timing = true;
    definition.required = false;
    return definition;
}

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
    battery("ops.battery.integer_products",
            "Are products of whole numbers, which have no rounding, exact in every size and "
            "orientation?",
            0.6, ops_battery<"integer_products">),
    battery(
        "ops.battery.shapes",
        "Is every common operator right at awkward sizes: one, primes, around every tile, empty?",
        2.0, ops_battery<"shapes">),
    battery(
        "ops.battery.layouts",
        "Is every common operator right on views, and does it leave the memory around them alone?",
        0.6, ops_battery<"layouts">),
    battery("ops.battery.gradients", "Is every common operator's gradient right?", 0.5,
            ops_battery<"gradients">, R"({"kind": "scale", "amount": 0.05})"),
    battery("ops.battery.long_sums",
            "Are long sums of products kept as exactly as fp32 keeps them, and without bias?", 0.8,
            ops_battery<"long_sums">),
    battery("ops.battery.attention",
            "Is attention right, blind to the future, and the same for each sequence by itself?",
            0.8, ops_battery<"attention">, R"({"kind": "scale", "amount": 0.05})"),
    battery("ops.battery.special_values",
            "Do NaN, infinities, zeros and the ends of the range do what IEEE 754 says?", 0.1,
            ops_battery<"special_values">),
    battery("ops.battery.indices", "Are whole numbers, ties, duplicates and places right?", 0.1,
            ops_battery<"indices">),
    battery("ops.battery.loss",
            "Are cross entropy and embedding right at real vocabularies, and their gradients?", 0.8,
            ops_battery<"loss">),
    battery("ops.battery.optimizer",
            "Does a hundred steps of AdamW lead where fp64 leads, and does clipping clip?", 0.2,
            ops_battery<"optimizer">),
    battery("ops.battery.overflow", "Is every overflow found, and does every NaN come through?",
            0.1, ops_battery<"overflow">),
    battery("ops.battery.experts",
            "Do routed tokens come back to their places, with empty and crowded experts?", 0.1,
            ops_battery<"experts">),
    battery("ops.battery.random_numbers",
            "Are random numbers distributed as they should be, and never repeated unasked?", 0.2,
            ops_battery<"random_numbers">),
    battery("ops.battery.every_input",
            "Are functions and casts right for every 16-bit number there is?", 0.2,
            ops_battery<"every_input">),
    battery("ops.battery.accumulator",
            "Does the matrix unit keep as many bits of a sum as fp32 does?", 0.1,
            ops_battery<"accumulator">, R"({"kind": "scale", "amount": -0.5})"),
    battery("ops.battery.memory",
            "Does memory hold what is written, and do copies bring all of it?", 0.3,
            ops_battery<"memory">),
    battery(
        "ops.battery.endurance",
        "Does the same small call stay right when it is made hundreds of times without waiting?",
        1.2, ops_battery<"endurance">),
    battery("ops.battery.large", "Are tensors right whose sizes overrun 16, 24 or 31 bits?", 0.3,
            ops_battery<"large">),
    timed(battery("ops.battery.timing", "Is any small call slower than any kernel would be?", 0.1,
                  ops_battery<"timing">, R"({"kind": "slow", "seconds": 1.0})")),
    of_module("module.eager",
              "Does your module compute what it computes in fp64, and its gradients?", 10.0,
              module_eager),
    of_module("module.compiled", "And the same module compiled by torch.compile?", 60.0,
              module_compiled),
    only_on("cuda",
            of_module("module.graphed", "And the same module replayed as a graph of kernels?", 10.0,
                      module_graphed)),
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
        .id = "links.data",
        .asks = "Does every collective bring every rank the right data?",
        .question = Question::kEndure,
        .family = "links",
        .subjects = Subjects::kNone,
        .together = true,
        .ranks_min = 2,
        .tamper = R"({"kind": "flip", "bit": 3})",
        .cost = {6.0},
        .step = links_data,
    },
    Definition{
        .id = "links.speed",
        .asks = "How long does each collective take, at each size?",
        .question = Question::kEndure,
        .family = "links_speed",
        .subjects = Subjects::kNone,
        .required = false,
        .timing = true,
        .together = true,
        .ranks_min = 2,
        .tamper = "",
        .cost = {6.0},
        .step = links_speed,
    },
    Definition{
        .id = "links.pairs",
        .asks = "Is one rank, or the link between two, slower than the others?",
        .question = Question::kEndure,
        .family = "links_pairs",
        .subjects = Subjects::kNone,
        .profile_min = Profile::kStandard,
        .required = false,
        .timing = true,
        .together = true,
        .ranks_min = 4,
        .tamper = "",
        .cost = {20.0},
        .step = links_pairs,
    },
    Definition{
        .id = "soak.model",
        .asks = "Does the model's step give the same bits on every device, again and again?",
        .question = Question::kEndure,
        .family = "soak",
        .subjects = Subjects::kParts,
        .together = true,
        .tamper = R"({"kind": "scale", "amount": 0.001})",
        .cost = {6.0},
        .step = soak_model,
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
        .id = "trial.equivalence",
        .asks = "Does it end at the loss at which the reference ends, run for run?",
        .question = Question::kLearn,
        .family = "equivalence",
        .subjects = Subjects::kNone,
        .profile_min = Profile::kStandard,
        .tamper =
            R"({"kind": "answer", "patch": [{"op": "replace", "path": "/observation/1/value", "value": 9.0}]})",
        .cost = {180.0},
        .step = trial_equivalence,
    },
    Definition{
        .id = "trial.parallel",
        .asks = "Do several ranks together compute the gradients that one rank computes alone?",
        .question = Question::kLearn,
        .family = "parallel",
        .subjects = Subjects::kNone,
        .together = true,
        .ranks_min = 2,
        .tamper = R"({"kind": "lost_share"})",
        .cost = {8.0},
        .step = trial_parallel,
    },
    Definition{
        .id = "trial.resume",
        .asks = "Killed mid-step and mid-checkpoint, does training go on to the same bits?",
        .question = Question::kEndure,
        .family = "resume",
        .subjects = Subjects::kNone,
        .sees_failures = true,
        .tamper = R"({"kind": "scale", "amount": 0.5})",
        .cost = {12.0},
        .step = trial_resume,
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
    Definition{
        .id = "handoff.endpoint",
        .asks = "Does the server say of the same text what the same weights say on the reference?",
        .question = Question::kServe,
        .family = "endpoint",
        .subjects = Subjects::kNone,
        .servers = Servers::kAlone,
        .tamper = R"({"kind": "scale", "amount": 0.05})",
        .cost = {4.0},
        .step = handoff_endpoint,
    },
    Definition{
        .id = "handoff.rollout_fp32",
        .asks = "Does the trainer hold the tokens that the device writes as likely as it does, in "
                "fp32?",
        .question = Question::kServe,
        .family = "rollout_fp32",
        .subjects = Subjects::kNone,
        .tamper = R"({"kind": "scale", "amount": 0.001})",
        .cost = {1.0},
        .step = handoff_rollout_fp32,
    },
    Definition{
        .id = "handoff.rollout",
        .asks = "And in the precision it is served in: would reinforcement learning take it for "
                "itself?",
        .question = Question::kServe,
        .family = "rollout",
        .subjects = Subjects::kNone,
        .servers = Servers::kToo,
        .tamper = R"({"kind": "scale", "amount": 0.05})",
        .cost = {2.0},
        .step = handoff_rollout,
    },
};

}  // namespace

std::span<const Definition> all() {
    return kAll;
}

const Definition* find(std::string_view id) {
    for (const auto table : {all(), of_trainer()}) {
        for (const Definition& definition : table) {
            const bool begins = id.starts_with(definition.id);
            if (begins && (id.size() == definition.id.size() || id[definition.id.size()] == '.')) {
                return &definition;
            }
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
