#include "worker/recorder/session.hpp"

#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/record_function.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "base/json.hpp"

namespace ascertain::recorder {
namespace {

std::string temporary(const char* name) {
    return (std::filesystem::path(::testing::TempDir()) / name).string();
}

Json read(const std::string& path) {
    std::ifstream file(path);
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    return parse_json(text, path).value();
}

// Phases in which `op` was seen.
std::set<std::string> phases_of(const Json& document, const std::string& op) {
    std::set<std::string> phases;
    for (const Json& entry : document["operators"]) {
        if (entry["name"] == op) phases.insert(entry["phase"].get<std::string>());
    }
    return phases;
}

// What a trainer does, with the scope that torch.optim opens around its step.
void training_step(at::Tensor& weight) {
    weight.mutable_grad() = at::Tensor();
    const at::Tensor loss = at::ones({4, 8}).mm(weight).sum();
    torch::autograd::backward({loss}, {});
    const c10::AutoGradMode no_gradients(false);
    weight.grad().mul_(at::full({1}, 0.5));
    RECORD_USER_SCOPE("Optimizer.step#Plain.step");
    weight.sub_(weight.grad(), 0.1);
}

TEST(RecorderSteps, AreOneOrARangeCountedFromOne) {
    EXPECT_EQ(*steps_from("3"), (Steps{3, 3}));
    EXPECT_EQ(*steps_from("3:5"), (Steps{3, 5}));
    for (const char* wrong : {"", "0", "5:3", "a", "1:", ":1", "1:2:3", "-1"}) {
        EXPECT_EQ(steps_from(wrong).error().code, ErrorCode::kBadInput) << wrong;
    }
}

TEST(RecorderPath, EveryRankHasItsOwnOrTheFirstAloneWrites) {
    EXPECT_EQ(path_of_rank("a-{rank}.json", "3"), "a-3.json");
    EXPECT_EQ(path_of_rank("a-{rank}.json", nullptr), "a-0.json");
    EXPECT_EQ(path_of_rank("a.json", nullptr), "a.json");
    EXPECT_EQ(path_of_rank("a.json", "0"), "a.json");
    EXPECT_EQ(path_of_rank("a.json", "1"), std::nullopt);
}

TEST(RecorderSession, PhasesAreReadOffAutogradAndTheOptimizer) {
    const std::string path = temporary("phases.json");
    at::Tensor weight = at::ones({8, 3}).requires_grad_(true);
    Session session;
    training_step(weight);
    const auto cases = session.write(path, 1);
    ASSERT_TRUE(cases.ok()) << cases.error().text();
    const Json document = read(path);
    EXPECT_EQ(*cases, static_cast<std::int64_t>(document["cases"].size()));
    EXPECT_EQ(document["steps"], 1);
    // The product's other gradient is not wanted: its left factor needs none.
    EXPECT_EQ(phases_of(document, "aten::mm"), (std::set<std::string>{"forward", "backward"}));
    EXPECT_EQ(phases_of(document, "aten::mul_"), (std::set<std::string>{"clip"}));
    EXPECT_EQ(phases_of(document, "aten::sub_"), (std::set<std::string>{"optimizer"}));
}

TEST(RecorderSession, NothingRecordedIsAnErrorAndNoFile) {
    const std::string path = temporary("nothing.json");
    Session session;
    EXPECT_EQ(session.write(path, 1).error().code, ErrorCode::kUnknownValue);
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(RecorderSession, AFileThatCannotBeIsFoundBeforeTheTraining) {
    EXPECT_EQ(can_write("/no/such/folder/cases.json").error().code, ErrorCode::kEnvironment);
    EXPECT_TRUE(can_write(temporary("fine.json")).ok());
    EXPECT_FALSE(std::filesystem::exists(temporary("fine.json")));
}

TEST(RecorderStepWatch, RecordsTheStepsThatWereAskedFor) {
    const std::string path = temporary("steps.json");
    std::filesystem::remove(path);
    at::Tensor weight = at::ones({8, 3}).requires_grad_(true);
    StepWatch watch(path, {2, 3});
    training_step(weight);
    training_step(weight);
    EXPECT_FALSE(std::filesystem::exists(path));
    training_step(weight);
    const Json document = read(path);
    EXPECT_EQ(document["steps"], 2);
    for (const Json& entry : document["operators"]) {
        if (entry["name"] == "aten::sub_") {
            EXPECT_EQ(entry["count"], 2);
        }
    }
}

TEST(RecorderStepWatch, AProcessThatEndsEarlyWritesWhatItHas) {
    const std::string path = temporary("early.json");
    at::Tensor weight = at::ones({8, 3}).requires_grad_(true);
    StepWatch watch(path, {1, 100});
    training_step(weight);
    watch.finish();
    EXPECT_EQ(read(path)["steps"], 1);
}

}  // namespace
}  // namespace ascertain::recorder
