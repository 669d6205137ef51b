#include "worker/training/requests.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "base/observation.hpp"
#include "worker/training/test_architectures.hpp"

namespace ascertain::training {
namespace {

Json params_of(const model::Architecture& architecture) {
    return {{"architecture", model::to_json(architecture)},
            {"recipe", {{"batch_sequences", 4}, {"sequence_length", 32}, {"warm_up_steps", 5}}},
            {"dtype", "fp32"},
            {"seed", 7}};
}

struct Answered {
    Result<Json> result;
    std::vector<double> shares;
    Json last_data;
};

Answered ask(Result<Json> (*request)(worker::Session&, const Json&), const Json& params) {
    Answered answered{Json(), {}, Json()};
    worker::Session session;
    session.progress = [&](double share, std::string_view, const Json& data) {
        answered.shares.push_back(share);
        answered.last_data = data;
    };
    answered.result = request(session, params);
    return answered;
}

double value_of(const Json& answer, std::string_view name) {
    const auto observation = observation_from_json(answer["observation"], "answer");
    EXPECT_TRUE(observation.ok());
    const Metric* metric = find_metric(*observation, name);
    EXPECT_NE(metric, nullptr) << name;
    return metric != nullptr ? metric->value.value_or(-1.0) : -1.0;
}

TEST(TrainRequest, GivesOneLossAndNormPerStepAndTheSameOnesAgain) {
    Json params = params_of(dense_architecture());
    params.update({{"steps", 12}, {"where", "reference"}, {"held_out_batches", 2}});
    const Answered one = ask(train, params);
    ASSERT_TRUE(one.result.ok()) << one.result.error().text();
    const Json& answer = *one.result;
    EXPECT_EQ(answer["losses"].size(), 12U);
    EXPECT_EQ(answer["grad_norms"].size(), 12U);
    EXPECT_EQ(answer["held_out_losses"].size(), 2U);
    EXPECT_LT(answer["losses"].back().get<double>(), answer["losses"].front().get<double>());
    EXPECT_EQ(value_of(answer, "nonfinite_steps"), 0.0);
    EXPECT_GT(value_of(answer, "tokens_per_s"), 0.0);
    EXPECT_FALSE(answer.contains("tampered"));
    EXPECT_EQ((*ask(train, params).result)["losses"], answer["losses"]);
}

TEST(TrainRequest, TamperedGradientsShowInTheNorms) {
    Json params = params_of(dense_architecture());
    params.update({{"steps", 3}, {"where", "device"}});
    const Json clean = *ask(train, params).result;
    params["tamper"] = {{"kind", "scale"}, {"amount", 0.02}};
    const Json changed = *ask(train, params).result;
    EXPECT_TRUE(changed["tampered"].get<bool>());
    EXPECT_GT(changed["grad_norms"][0].get<double>(), clean["grad_norms"][0].get<double>() * 1.003);
}

TEST(TrainRequest, ANonFiniteRunIsCountedAndHasNoFinalLoss) {
    Json params = params_of(dense_architecture());
    params.update({{"steps", 3}, {"where", "device"}});
    params["tamper"] = {{"kind", "scale"}, {"amount", 1e39}};  // overflows fp32
    const Json answer = *ask(train, params).result;
    EXPECT_GE(value_of(answer, "nonfinite_steps"), 2.0);
    EXPECT_TRUE(answer["losses"].back().is_null());
}

TEST(TeacherForceRequest, ComparesEveryStepAndBatch) {
    Json params = params_of(deepseek_architecture());
    params.update({{"steps", {2, 0}}, {"batches", 2}});
    const Answered answered = ask(teacher_force, params);
    ASSERT_TRUE(answered.result.ok()) << answered.result.error().text();
    const Json& answer = *answered.result;
    ASSERT_EQ(answer["points"].size(), 4U);
    EXPECT_EQ(answer["points"][0]["step"], 0);
    EXPECT_EQ(answer["points"][3]["step"], 2);
    EXPECT_LT(value_of(answer, "relative_loss_max"), 1e-6);
    // Experts are compared one by one, under the names they have on disk.
    std::set<std::string> names;
    for (const Json& tensor : answer["tensors"]) names.insert(tensor["name"].get<std::string>());
    EXPECT_TRUE(names.contains("model.layers.1.mlp.experts.3.down_proj.weight"));
    EXPECT_TRUE(names.contains("model.layers.0.self_attn.kv_a_proj_with_mqa.weight"));
    EXPECT_NE(answer["device_side"], "");
    EXPECT_DOUBLE_EQ(answered.shares.back(), 1.0);
}

TEST(TrainingRequests, RefuseWhatTheyCannotRead) {
    const Json good = params_of(dense_architecture());
    Json forced = good;
    forced.update({{"steps", {0}}, {"batches", 1}});
    const auto without = [](Json document, const char* key) {
        document.erase(key);
        return document;
    };
    const auto with = [](Json document, const char* key, Json value) {
        document[key] = std::move(value);
        return document;
    };
    for (const Json& bad :
         {without(forced, "architecture"), without(forced, "dtype"), without(forced, "seed"),
          without(forced, "batches"), with(forced, "steps", Json::array()),
          with(forced, "steps", {-1}), with(forced, "batches", 0), with(forced, "dtype", "fp8"),
          with(forced, "recipe", {{"batch", 1}}), with(forced, "tamper", {{"kind", "drop"}})}) {
        EXPECT_FALSE(ask(teacher_force, bad).result.ok()) << bad;
    }
    Json small = good;
    small.update({{"steps", 1}, {"where", "device"}});
    EXPECT_FALSE(ask(train, with(small, "where", "moon")).result.ok());
    EXPECT_FALSE(ask(train, with(small, "perturb", -1.0)).result.ok());
    EXPECT_FALSE(ask(train, with(small, "steps", 0)).result.ok());
}

}  // namespace
}  // namespace ascertain::training
