#include "worker/operators/capture.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <tuple>

#include "model/operators.hpp"
#include "worker/operators/replay.hpp"
#include "worker/training/test_architectures.hpp"

namespace ascertain::operators {
namespace {

constexpr std::int64_t kSequences = 2;
constexpr std::int64_t kLength = 48;

// phase, smaller and larger side of the product, inner dimension, number of matrices: a weight's
// gradient may be computed as itself or as its transpose.
using Key = std::tuple<std::string, std::int64_t, std::int64_t, std::int64_t, std::int64_t>;
using Counts = std::map<Key, std::int64_t>;

Key key_of(std::string_view phase, const Gemm& gemm) {
    return {std::string(phase), std::min(gemm.m, gemm.n), std::max(gemm.m, gemm.n), gemm.k,
            gemm.batch};
}

Counts predicted(const model::Architecture& architecture) {
    model::Batch batch;
    batch.sequences = kSequences;
    batch.sequence_length = kLength;
    const auto operators = model::operators(architecture, {}, batch);
    EXPECT_TRUE(operators.ok());
    Counts counts;
    for (const model::Operator& one : *operators) {
        if (one.kind != model::OperatorKind::kGemm &&
            one.kind != model::OperatorKind::kGroupedGemm) {
            continue;
        }
        const Gemm gemm{one.gemm.m, one.gemm.n, one.gemm.k, one.gemm.batch};
        counts[key_of(model::name_of(one.phase), gemm)] +=
            one.count * model::block_count(architecture, one.block);
    }
    return counts;
}

Capture captured_step(const model::Architecture& architecture) {
    worker::Session session;
    return capture_step(session, architecture,
                        {.sequences = kSequences, .sequence_length = kLength, .seed = 1});
}

// Without the products inside attention, which the model lists as one operator.
Counts captured_gemms(const Recording& recording) {
    Counts counts;
    for (const RecordedCall& call : recording.calls) {
        if (call.gemm && call.op != "aten::bmm")
            counts[key_of(call.phase, *call.gemm)] += call.count;
    }
    return counts;
}

std::string text_of(const Counts& counts) {
    std::string text;
    for (const auto& [key, count] : counts) {
        text += std::get<0>(key) + " " + std::to_string(std::get<1>(key)) + " x " +
                std::to_string(std::get<2>(key)) + ", k " + std::to_string(std::get<3>(key)) +
                ", " + std::to_string(std::get<4>(key)) + " matrices: " + std::to_string(count) +
                "\n";
    }
    return text;
}

void expect_gemms_as_predicted(const model::Architecture& architecture) {
    const Counts expected = predicted(architecture);
    EXPECT_FALSE(expected.empty());
    EXPECT_EQ(text_of(captured_gemms(captured_step(architecture).recording)), text_of(expected));
}

TEST(Capture, ADenseModelRunsTheProductsThatAreForetold) {
    expect_gemms_as_predicted(training::dense_architecture());
}

TEST(Capture, ADeepseekLikeModelRunsTheProductsThatAreForetold) {
    expect_gemms_as_predicted(training::deepseek_architecture());
}

TEST(Capture, EveryOperatorThatComputesHasACaseOrAReason) {
    const Recording recording = captured_step(training::deepseek_architecture()).recording;
    std::map<std::string, int> phases;
    for (const RecordedCall& call : recording.calls) {
        ++phases[call.phase];
        EXPECT_GT(call.count, 0) << call.op;
        if (call.compute) {
            EXPECT_NE(call.call_case.has_value(), !call.without_case_reason.empty()) << call.op;
        }
    }
    for (const char* phase : {"forward", "backward", "clip", "optimizer"}) {
        EXPECT_GT(phases[phase], 0) << phase;
    }
}

TEST(Capture, EveryCaseReplaysOnTheCpuWithoutAlarm) {
    const Recording recording = captured_step(training::deepseek_architecture()).recording;
    worker::Session session;
    int replayed = 0;
    for (const RecordedCall& call : recording.calls) {
        if (!call.call_case) continue;
        const Result<Json> result =
            replay(session, {{"case", to_json(*call.call_case)}, {"seed", 3}});
        if (!result) {
            EXPECT_EQ(result.error().code, ErrorCode::kUnknownValue)
                << call.op << ": " << result.error().text();
            continue;
        }
        ++replayed;
        for (const Json& metric : (*result)["observation"]) {
            if (metric["value"].is_null()) continue;
            const double value = metric["value"];
            const std::string name = metric["metric"];
            const bool exact = name == "exact_mismatches" || name == "nonfinite_mismatches";
            const double bound = exact ? 0.0 : name == "bound_ratio" ? 1.0 : 64.0;
            if (exact || name == "bound_ratio" || name == "error_ratio") {
                EXPECT_LE(value, bound)
                    << call.op << " " << name << " " << to_json(*call.call_case).dump();
            }
        }
    }
    EXPECT_GT(replayed, 100);
}

TEST(Recorder, CompositesThatVendorsFuseAreUnitsAndTheirPartsAreNot) {
    const Recording recording = captured_step(training::dense_architecture()).recording;
    std::map<std::string, std::int64_t> forward;
    for (const RecordedCall& call : recording.calls) {
        if (call.phase == "forward") forward[call.op] += call.count;
    }
    // Three layers: attention once; norms before attention and MLP, of queries and of keys, and the
    // last one.
    EXPECT_EQ(forward["aten::scaled_dot_product_attention"], 3);
    EXPECT_EQ(forward["aten::rms_norm"], 3 * 4 + 1);
    EXPECT_EQ(forward["aten::cross_entropy_loss"], 1);
    EXPECT_EQ(forward["aten::_log_softmax"], 0);
    EXPECT_EQ(forward["aten::mm"], 0);
}

TEST(CaptureRequest, RefusesWhatItCannotRecord) {
    worker::Session session;
    Json params = {{"architecture", model::to_json(training::dense_architecture())},
                   {"sequences", 1},
                   {"sequence_length", 16},
                   {"dtype", "bf16"},
                   {"optimizer", "sgd"},
                   {"seed", 1}};
    EXPECT_EQ(capture(session, params).error().code, ErrorCode::kUnsupported);
    params["optimizer"] = "adamw";
    params["dtype"] = "int64";
    EXPECT_EQ(capture(session, params).error().code, ErrorCode::kUnsupported);
    params["dtype"] = "bf16";
    params["sequences"] = 0;
    EXPECT_EQ(capture(session, params).error().code, ErrorCode::kBadInput);
    params.erase("architecture");
    EXPECT_EQ(capture(session, params).error().code, ErrorCode::kBadInput);
}

}  // namespace
}  // namespace ascertain::operators
