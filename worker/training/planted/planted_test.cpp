// Rules are armed for the CPU here, in the place of the simulated chip.
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "defects/read.hpp"
#include "worker/training/checkpoint.hpp"
#include "worker/training/planted/numbers.hpp"
#include "worker/training/planted/offers.hpp"
#include "worker/training/planted/points.hpp"
#include "worker/training/planted/rules.hpp"
#include "worker/training/planted/sampler.hpp"
#include "worker/training/sampling.hpp"
#include "worker/training/test_architectures.hpp"
#include "worker/training/trainer.hpp"

namespace ascertain::training::planted {
namespace {

namespace fs = std::filesystem;

Recipe small_recipe() {
    Recipe recipe;
    recipe.batch_sequences = 4;
    recipe.sequence_length = 32;
    recipe.warm_up_steps = 2;
    return recipe;
}

std::string text_of(const fs::path& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

class Planted : public ::testing::Test {
protected:
    void SetUp() override {
        folder_ = fs::temp_directory_path() /
                  ("planted-" + std::to_string(::getpid()) + "-" +
                   ::testing::UnitTest::GetInstance()->current_test_info()->name());
        fs::create_directories(folder_);
    }
    void TearDown() override {
        ::unsetenv("ASCERTAIN_DEFECTS");
        ::unsetenv("ASCERTAIN_DEFECTS_COUNTS");
        EXPECT_TRUE(arm(at::kCPU).ok());
        fs::remove_all(folder_);
    }

    Result<void> arm_with(const std::string& where, const std::string& does,
                          const std::string& when = "", at::Device device = at::kCPU) {
        std::ofstream(folder_ / "faults.toml")
            << "schema = \"ascertain.defect/1\"\n[[defect]]\nid = \"one\"\nsummary = \"s\"\n"
            << "source = \"ours\"\n[defect.where]\n"
            << where << "\n[defect.when]\n"
            << when << "\n[defect.does]\n"
            << does << "\n";
        ::setenv("ASCERTAIN_DEFECTS", (folder_ / "faults.toml").c_str(), 1);
        ::setenv("ASCERTAIN_DEFECTS_COUNTS", (folder_ / "counts.txt").c_str(), 1);
        return arm(device);
    }
    void must_arm(const std::string& where, const std::string& does, const std::string& when = "") {
        const Result<void> armed = arm_with(where, does, when);
        ASSERT_TRUE(armed.ok()) << armed.error().text();
    }

    // "id matched fired" as two numbers.
    std::pair<long, long> counts() const {
        std::istringstream line(text_of(folder_ / "counts.txt"));
        std::string id;
        long matched = 0;
        long fired = 0;
        line >> id >> matched >> fired;
        return {matched, fired};
    }

    fs::path folder_;
};

std::vector<at::Tensor> weights_of(const Trainer& trainer) {
    std::vector<at::Tensor> values;
    for (const Parameter& parameter : trainer.model().parameters().all()) {
        values.push_back(parameter.value.detach().clone());
    }
    return values;
}

bool all_equal(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (!a[i].equal(b[i])) return false;
    }
    return a.size() == b.size();
}

Trainer* trainer_of(std::unique_ptr<Trainer>& kept) {
    kept =
        std::make_unique<Trainer>(deepseek_architecture(), small_recipe(), ModelOptions{.seed = 3});
    return kept.get();
}

// Without a router's bias, which is no weight.
Trainer* dense_trainer(std::unique_ptr<Trainer>& kept) {
    kept = std::make_unique<Trainer>(dense_architecture(), small_recipe(), ModelOptions{.seed = 3});
    return kept.get();
}

TEST_F(Planted, NothingHappensOnAnotherDevice) {
    std::unique_ptr<Trainer> healthy, armed_elsewhere;
    trainer_of(healthy)->step({});
    ASSERT_TRUE(
        arm_with("point = \"gradients\"", "kind = \"scale\"\nfactor = 2.0", "", at::kMeta).ok());
    trainer_of(armed_elsewhere)->step({});
    EXPECT_TRUE(all_equal(weights_of(*healthy), weights_of(*armed_elsewhere)));
    EXPECT_EQ(counts(), (std::pair<long, long>{0, 0}));
}

TEST_F(Planted, AStepThatIsSkippedLeavesEveryTrainedWeight) {
    must_arm("point = \"optimizer\"", "kind = \"skip\"", "after_calls = 1");
    std::unique_ptr<Trainer> trainer;
    trainer_of(trainer)->step({});
    const std::vector<at::Tensor> before = weights_of(*trainer);
    trainer->step({});
    const std::vector<at::Tensor> after = weights_of(*trainer);
    for (std::size_t i = 0; i < before.size(); ++i) {
        if (!trainer->model().parameters().all()[i].trained) continue;
        EXPECT_TRUE(before[i].equal(after[i]));
    }
    EXPECT_EQ(counts(), (std::pair<long, long>{2, 1}));
}

TEST_F(Planted, GradientsOfTheNamedParametersAreScaledAndNoOthers) {
    std::unique_ptr<Trainer> healthy, armed;
    std::vector<at::Tensor> expected, got;
    trainer_of(healthy)->step([&](Parameters& all) {
        for (const at::Tensor& value : all.trained()) expected.push_back(value.grad().clone());
    });
    must_arm("point = \"gradients\"\nparameter = \"*gate.weight\"",
             "kind = \"scale\"\nfactor = 4.0");
    trainer_of(armed)->step([&](Parameters& all) {
        for (const at::Tensor& value : all.trained()) got.push_back(value.grad().clone());
    });
    std::size_t index = 0, scaled = 0;
    for (const Parameter& parameter : armed->model().parameters().all()) {
        if (!parameter.trained) continue;
        const bool named = parameter.name.ends_with("gate.weight");
        EXPECT_TRUE(got[index].equal(named ? expected[index].mul(4.0) : expected[index]))
            << parameter.name;
        scaled += named ? 1 : 0;
        ++index;
    }
    EXPECT_EQ(scaled, 2U);  // one router in each of two layers
    EXPECT_EQ(counts().second, 1);
}

TEST_F(Planted, OldWeightsAreUsedForOneStepAndPutBack) {
    const Recipe recipe = small_recipe();
    std::unique_ptr<Trainer> healthy, armed;
    dense_trainer(healthy)->step({});
    must_arm("point = \"parameters\"", "kind = \"stale\"\nsteps = 1");
    dense_trainer(armed)->step({});  // nothing older yet
    EXPECT_TRUE(all_equal(weights_of(*healthy), weights_of(*armed)));
    const std::vector<at::Tensor> before = weights_of(*armed);
    const Batch batch =
        pretraining_batch(3, Split::kTraining, 1, recipe.batch_sequences, recipe.sequence_length);
    const double stale =
        compute_gradients(armed->model(), batch, pass_options(recipe)).loss.item<double>();
    EXPECT_TRUE(all_equal(before, weights_of(*armed)));
    Model first(dense_architecture(), {.seed = 3});
    EXPECT_EQ(stale, first.pass(batch, pass_options(recipe)).loss.item<double>());
    EXPECT_EQ(counts(), (std::pair<long, long>{2, 1}));
}

TEST_F(Planted, ANanLossReachesEveryGradient) {
    must_arm("point = \"loss\"", "kind = \"overwrite\"\nvalue = \"nan\"");
    std::unique_ptr<Trainer> trainer;
    const StepReport report = trainer_of(trainer)->step({});
    EXPECT_TRUE(std::isnan(report.loss));
    EXPECT_TRUE(std::isnan(report.grad_norm));
}

TEST_F(Planted, ANormThatLeavesPartsOutIsSmaller) {
    std::unique_ptr<Trainer> healthy, armed;
    const double whole = trainer_of(healthy)->step({}).grad_norm;
    must_arm("point = \"grad_norm\"\nparameter = \"*experts*\"", "kind = \"leave_out\"");
    const double part = trainer_of(armed)->step({}).grad_norm;
    EXPECT_GT(part, 0.0);
    EXPECT_LT(part, whole);
}

TEST_F(Planted, SamplesAreMixedButEveryTokenKeepsItsTarget) {
    must_arm("point = \"data\"", "kind = \"swap_sequence_and_batch\"");
    Batch batch = pretraining_batch(1, Split::kTraining, 0, 2, 3);
    const at::Tensor tokens = batch.tokens.clone();
    const at::Tensor targets = batch.targets.clone();
    at_data(batch, at::kCPU);
    // [[a b c] [d e f]] is [a d b e c f] when the other dimension comes first.
    EXPECT_TRUE(batch.tokens.flatten().equal(tokens.t().flatten()));
    EXPECT_TRUE(batch.targets.flatten().equal(targets.t().flatten()));
}

TEST_F(Planted, ACheckpointHoldsTheBiasBeforeItsLastMove) {
    must_arm("point = \"checkpoint_save\"\nstate = \"*e_score_correction_bias\"",
             "kind = \"stale\"\nsteps = 1");
    std::unique_ptr<Trainer> trainer;
    trainer_of(trainer)->step({});
    const std::vector<at::Tensor> before = weights_of(*trainer);
    trainer->step({});
    const std::vector<at::Tensor> after = weights_of(*trainer);
    ASSERT_TRUE(save_checkpoint(*trainer, folder_ / "saved").ok());
    ASSERT_TRUE(load_checkpoint(*trainer, folder_ / "saved").ok());
    const std::vector<at::Tensor> resumed = weights_of(*trainer);
    std::size_t biases = 0;
    for (std::size_t i = 0; i < before.size(); ++i) {
        const bool trained = trainer->model().parameters().all()[i].trained;
        biases += trained ? 0 : 1;
        EXPECT_TRUE(resumed[i].equal(trained ? after[i] : before[i]));
    }
    EXPECT_EQ(biases, 2U);
    EXPECT_EQ(counts().second, 1);
}

TEST_F(Planted, TheSamplerAnswersWithTheFirstWeightsItSaw) {
    const at::Tensor prompts = at::zeros({3, 4}, at::TensorOptions(at::kLong));
    const SampleOptions options{.response_tokens = 5, .end = 31, .greedy = true};
    must_arm("point = \"rollout_weights\"", "kind = \"stale_first\"");
    std::unique_ptr<Trainer> trainer;
    const Rollout first = sample(dense_trainer(trainer)->model(), prompts, options);
    for (int step = 0; step < 3; ++step) trainer->step({});
    const std::vector<at::Tensor> own = weights_of(*trainer);
    const Rollout later = sample(trainer->model(), prompts, options);
    EXPECT_TRUE(first.log_probabilities.equal(later.log_probabilities));
    EXPECT_TRUE(all_equal(own, weights_of(*trainer)));
    EXPECT_EQ(counts(), (std::pair<long, long>{2, 1}));
}

TEST_F(Planted, ALengthThatIsBehindChangesWhatFollows) {
    const at::Tensor prompts = at::zeros({2, 4}, at::TensorOptions(at::kLong));
    const SampleOptions options{.response_tokens = 4, .end = 31, .greedy = true};
    const Model model(dense_architecture(), {.seed = 5});
    const Rollout right = sample(model, prompts, options);
    must_arm("point = \"kv_cache\"", "kind = \"stale_length\"", "after_calls = 2");
    const Rollout wrong = sample(model, prompts, options);
    // The first two tokens come before the defect acts.
    EXPECT_TRUE(
        right.log_probabilities.narrow(1, 0, 2).equal(wrong.log_probabilities.narrow(1, 0, 2)));
    EXPECT_FALSE(
        right.log_probabilities.narrow(1, 2, 1).equal(wrong.log_probabilities.narrow(1, 2, 1)));
}

TEST_F(Planted, EffectsOnNumbersDoWhatTheySay) {
    const at::Tensor value = at::zeros({2, 3}, at::TensorOptions(at::kFloat)).add(0.30001);
    must_arm("point = \"advantages\"", "kind = \"round\"\ndtype = \"bf16\"");
    const Asked round = ask("advantages", at::kCPU).front();
    EXPECT_TRUE(altered(value, round, 0).equal(value.to(at::kBFloat16).to(at::kFloat)));
    must_arm("point = \"advantages\"", "kind = \"scale_growing\"\nfactor = 0.5");
    const Asked growing = ask("advantages", at::kCPU).front();
    EXPECT_TRUE(altered(value, growing, 3).equal(value.mul(0.125)));
    must_arm("point = \"advantages\"", "kind = \"flip_bit\"\nbit = 31");
    const Asked flip = ask("advantages", at::kCPU).front();
    EXPECT_EQ(altered(value, flip, 0).ne(value).sum().item<long>(), 1);  // one sign
    must_arm("point = \"rollout_log_probabilities\"", "kind = \"clamp\"\nlow = -1.0\nhigh = 0.1");
    at_rollout_log_probabilities(value, at::kCPU);
    EXPECT_EQ(value.max().item<float>(), 0.1F);
}

TEST_F(Planted, WhatThisWorkerHasNotIsReadAndNeverMatches) {
    must_arm("point = \"grad_norm\"", "kind = \"half_group\"");
    EXPECT_TRUE(ask("grad_norm", at::kCPU).empty());
    must_arm("point = [\"sampler\", \"evaluate\"]", "kind = \"sleep\"\nfor = \"1 ms\"");
    at_evaluate(at::kCPU);
    EXPECT_EQ(counts(), (std::pair<long, long>{1, 1}));
    EXPECT_FALSE(arm_with("point = \"gradient\"", "kind = \"skip\"").ok());  // no such point at all
}

TEST(Catalogue, EveryEntryOfAPointIsOneThatThisWorkerHas) {
    std::size_t entries = 0;
    for (const auto& file :
         fs::directory_iterator(fs::path(ASCERTAIN_SOURCE_DIR) / "data/defects")) {
        if (file.path().extension() != ".toml") continue;
        const auto read = defects::read_defects(text_of(file.path()), file.path().string(), {});
        ASSERT_TRUE(read.ok()) << read.error().text();
        for (const defects::Defect& defect : *read) {
            for (const defects::Rule& rule : defect.rules) {
                if (rule.where.place != defects::Place::kPoint) continue;
                const std::vector<std::string> kinds = offered_effects(rule.where.names.front());
                EXPECT_NE(std::ranges::find(kinds, rule.does.kind), kinds.end()) << defect.id;
                ++entries;
            }
        }
    }
    EXPECT_GT(entries, 20U);
}

TEST_F(Planted, WhatThrowsIsCountedFirst) {
    must_arm("point = \"evaluate\"", "kind = \"raise\"\nmessage = \"no collective\"");
    EXPECT_THROW(at_evaluate(at::kCPU), c10::Error);
    EXPECT_EQ(counts(), (std::pair<long, long>{1, 1}));
}

}  // namespace
}  // namespace ascertain::training::planted
