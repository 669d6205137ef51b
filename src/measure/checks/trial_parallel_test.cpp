#include <gmock/gmock.h>

#include <cmath>
#include <set>

#include "measure/checks/testing.hpp"

namespace ascertain::checks {
namespace {

using testing::Driver;
using testing::error;
using testing::gave_up;
using testing::metric;
using testing::result;
using testing::value_of;

Json trial(int experts) {
    return {{"trial_architecture",
             {{"layers", {{{"kind", "dense"}, {"count", 1}}, {{"kind", "moe"}, {"count", 2}}}},
              {"moe", {{"experts", experts}, {"auxiliary_loss_coefficient", 0.1}}},
              {"mlp", {{"intermediate_size", 64}}},
              {"mtp_layers", 1}}},
            {"recipe", Json::object()}};
}

Answer step(double tensor, const Json& weights = nullptr) {
    return result({{"observation",
                    {metric("relative_loss", 1e-8), metric("tensor_relative_error_max", tensor),
                     metric("weights_relative_error", weights), metric("tensors", 30)}},
                   {"worst_tensor", "q"}});
}

Answer healthy(const Request& request) {
    if (request.kind == "store") return result({{"port", 4711}});
    if (request.kind == "rendezvous") return result({{"backend", "gloo"}});
    const bool data = request.params["form"] == "data";
    return step(1e-6, data ? Json(1e-7) : Json());
}

std::set<std::string> forms_of(const Driver& driver) {
    std::set<std::string> forms;
    for (const Request& request : driver.asked) {
        if (request.kind == "parallel_step") forms.insert(request.params["form"]);
    }
    return forms;
}

TEST(TrialParallel, AsksEveryFormThatTheModelHas) {
    Driver driver("trial.parallel", trial(4));
    driver.ranks = 2;
    const Step found = driver.run(healthy);
    EXPECT_EQ(forms_of(driver), (std::set<std::string>{"data", "tensor", "expert", "pipeline",
                                                       "interleaved", "context"}));
    EXPECT_EQ(value_of(found, "tensor_relative_error_max"), 1e-6);
    EXPECT_EQ(value_of(found, "weights_relative_error"), 1e-7);
    EXPECT_EQ(value_of(found, "forms"), 6.0);
    for (const Request& request : driver.asked) {
        if (request.kind != "parallel_step") continue;
        const Json& architecture = request.params["architecture"];
        const bool keeps = request.params["form"] == "data" || request.params["form"] == "expert";
        EXPECT_EQ(architecture["moe"]["experts"], keeps ? 4 : 0);
        if (request.params["form"] == "interleaved") {
            EXPECT_EQ(architecture["layers"][0]["count"], 4);  // two stages on each of two ranks
        }
        EXPECT_EQ(architecture["moe"]["auxiliary_loss_coefficient"], 0.0);
        EXPECT_EQ(request.params["dtype"], "fp32");
    }
    Driver dense("trial.parallel", trial(0));
    dense.ranks = 2;
    static_cast<void>(dense.run(healthy));
    EXPECT_EQ(forms_of(dense),
              (std::set<std::string>{"data", "tensor", "pipeline", "interleaved", "context"}));
}

TEST(TrialParallel, TheWorstRankOfTheWorstFormCounts) {
    Driver driver("trial.parallel", trial(4));
    driver.ranks = 2;
    int asked = 0;
    const Step found = driver.run([&](const Request& request) {
        if (request.kind != "parallel_step" || request.params["form"] != "tensor") {
            return healthy(request);
        }
        return step(asked++ % 2 == 0 ? 1e-6 : 0.5);
    });
    EXPECT_EQ(value_of(found, "tensor_relative_error_max"), 0.5);
}

TEST(TrialParallel, AFormThatDoesNotFitIsSaidAndNotCounted) {
    Driver driver("trial.parallel", trial(4));
    driver.ranks = 2;
    const Step found = driver.run([](const Request& request) {
        const bool tensor = request.kind == "parallel_step" && request.params["form"] == "tensor";
        return tensor ? error("unsupported", "fewer heads than ranks") : healthy(request);
    });
    EXPECT_EQ(value_of(found, "forms"), 5.0);
    const Json& table = std::get<Done>(found).detail["forms"];
    EXPECT_EQ(table[1]["unfit"], "fewer heads than ranks");
}

TEST(TrialParallel, WhereNothingFitsNothingPasses) {
    Driver driver("trial.parallel", trial(0));
    driver.ranks = 2;
    const Step found = driver.run([](const Request& request) {
        return request.kind == "parallel_step" ? error("unsupported", "no") : healthy(request);
    });
    EXPECT_TRUE(gave_up(found, GiveUp::Reason::kNoReference));
}

TEST(TrialParallel, WithoutTimeOneFormIsAsked) {
    Driver driver("trial.parallel", trial(4), 0.0);
    driver.ranks = 2;
    static_cast<void>(driver.run(healthy));
    EXPECT_EQ(forms_of(driver), (std::set<std::string>{"data"}));
}

}  // namespace
}  // namespace ascertain::checks
