// A healthy variant is another arithmetic than the CPU's, and a legal one. One process is one chip,
// so ctest runs this once for every file of data/variants, named by ASCERTAIN_VARIANT.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include "base/json.hpp"
#include "chips/simulated/plugin_for_test.hpp"
#include "worker/host/declared.hpp"
#include "worker/host/session.hpp"
#include "worker/operators/replay.hpp"
#include "worker/operators/testing.hpp"
#include "worker/training/model.hpp"
#include "worker/training/optimizer.hpp"
#include "worker/training/test_architectures.hpp"

namespace ascertain::simulated {
namespace {

constexpr double kRounding = 0x1p-23;  // of fp32, one step towards zero
constexpr c10::DeviceType kType = c10::DeviceType::PrivateUse1;

class Variant : public ::testing::Test {
protected:
    static void SetUpTestSuite() { ASSERT_EQ(load_plugin(), ""); }
};

using Inputs = std::vector<at::Tensor>;

// Something to compute from fp32 inputs, and how far any legal arithmetic may be off at each
// element of the result: from the inputs in fp64 and the result in fp64.
struct Question {
    const char* name;
    Inputs inputs;
    std::function<at::Tensor(const Inputs&)> compute;
    std::function<at::Tensor(const Inputs&, const at::Tensor&)> allowed;
};

at::Tensor drawn(at::IntArrayRef shape, std::uint64_t seed) {
    return at::randn(shape, at::detail::createCPUGenerator(seed));
}

// n roundings of sums no larger than the sum of sizes (Higham 2002, section 4.2, gamma_n).
at::Tensor sum_bound(double terms, const at::Tensor& sum_of_sizes) {
    return sum_of_sizes.mul((terms + 4.0) * kRounding).add(0x1p-126);
}

// So many units in the last place of fp32, and no more where results are subnormal than the least
// normal number: flushing them is legal where it is declared.
std::function<at::Tensor(const Inputs&, const at::Tensor&)> ulps(double count) {
    return [count](const Inputs&, const at::Tensor& truth) {
        return truth.abs().mul(count * kRounding).add(0x1p-126);
    };
}

Question product(const char* name, std::int64_t m, std::int64_t k, std::int64_t n) {
    return {name,
            {drawn({m, k}, 1), drawn({k, n}, 2)},
            [](const Inputs& in) { return at::mm(in[0], in[1]); },
            [k](const Inputs& in, const at::Tensor&) {
                return sum_bound(static_cast<double>(k), at::mm(in[0].abs(), in[1].abs()));
            }};
}

std::vector<Question> products() {
    return {
        product("mm", 13, 300, 37),
        product("mm of a long k", 3, 5000, 40),
        {"addmm of transposed factors",
         {drawn({20, 16}, 3), drawn({96, 20}, 4), drawn({16, 96}, 5)},
         [](const Inputs& in) { return at::addmm(in[0], in[1].t(), in[2].t(), 0.5, 2.0); },
         [](const Inputs& in, const at::Tensor&) {
             return sum_bound(100.0,
                              at::mm(in[1].t().abs(), in[2].t().abs()).mul(2.0).add(in[0].abs()));
         }},
        {"bmm",
         {drawn({3, 7, 130}, 6), drawn({3, 130, 9}, 7)},
         [](const Inputs& in) { return at::bmm(in[0], in[1]); },
         [](const Inputs& in, const at::Tensor&) {
             return sum_bound(130.0, at::bmm(in[0].abs(), in[1].abs()));
         }},
    };
}

std::vector<Question> sums() {
    const auto mean_bound = [](const Inputs& in, const at::Tensor& truth) {
        return sum_bound(5000.0, in[0].abs().mean(1)).expand_as(truth);
    };
    return {
        {"sum over rows",
         {drawn({5000, 6}, 8)},
         [](const Inputs& in) { return in[0].sum({0}); },
         [](const Inputs& in, const at::Tensor&) {
             return sum_bound(5000.0, in[0].abs().sum({0}));
         }},
        {"mean",
         {drawn({4, 5000}, 9)},
         [](const Inputs& in) { return in[0].mean({1}); },
         mean_bound},
        {"norm",
         {drawn({3000}, 10)},
         [](const Inputs& in) { return at::linalg_vector_norm(in[0]); },
         ulps(3000.0)},
        {"softmax",
         {drawn({9, 500}, 11).mul(4.0)},
         [](const Inputs& in) { return at::softmax(in[0], -1); },
         ulps(540.0)},
        {"log_softmax",
         {drawn({9, 500}, 12).mul(4.0)},
         [](const Inputs& in) { return at::log_softmax(in[0], -1); },
         [](const Inputs&, const at::Tensor& truth) {
             return truth.abs().add(1.0).mul(540.0 * kRounding);
         }},
        {"layer_norm",
         {drawn({6, 200}, 13)},
         [](const Inputs& in) { return at::layer_norm(in[0], {200}); },
         [](const Inputs&, const at::Tensor& truth) {
             return truth.abs().add(1.0).mul(210.0 * kRounding);
         }},
    };
}

std::vector<Question> functions() {
    const at::Tensor x = at::cat({drawn({4000}, 14).mul(6.0), drawn({1000}, 15).mul(1e-3)});
    const at::Tensor positive = at::exp(drawn({5000}, 16).mul(20.0));
    return {
        {"exp", {x}, [](const Inputs& in) { return at::exp(in[0]); }, ulps(2.0)},
        {"log", {positive}, [](const Inputs& in) { return at::log(in[0]); }, ulps(2.0)},
        {"tanh", {x}, [](const Inputs& in) { return at::tanh(in[0]); }, ulps(2.0)},
        {"rsqrt", {positive}, [](const Inputs& in) { return at::rsqrt(in[0]); }, ulps(2.0)},
        {"sigmoid", {x}, [](const Inputs& in) { return at::sigmoid(in[0]); }, ulps(3.0)},
        {"silu", {x}, [](const Inputs& in) { return at::silu(in[0]); }, ulps(4.0)},
        {"numbers that are subnormal",
         {at::arange(1.0, 100.0).mul(0x1p-130)},
         [](const Inputs& in) { return in[0].mul(0.5); },
         ulps(1.0)},
    };
}

Question attention(const char* name, bool causal, at::IntArrayRef key_shape) {
    return {name,
            {drawn({2, 4, 70, 16}, 17), drawn(key_shape, 18), drawn(key_shape, 19)},
            [causal](const Inputs& in) {
                return at::scaled_dot_product_attention(in[0], in[1], in[2], std::nullopt, 0.0,
                                                        causal, std::nullopt, true);
            },
            [](const Inputs& in, const at::Tensor& truth) {
                return at::full_like(truth, in[2].abs().max().item<double>() * 200.0 * kRounding);
            }};
}

at::Tensor places(std::int64_t count, std::int64_t below) {
    return at::arange(count).mul(7).remainder(below);
}

std::vector<Question> index_sums() {
    const auto bound = [](const Inputs& in, const at::Tensor& truth) {
        return at::full_like(truth, in[0].abs().max().item<double>() * 400.0 * 400.0 * kRounding);
    };
    return {
        {"index_add",
         {drawn({400, 8}, 20)},
         [](const Inputs& in) {
             return at::zeros({5, 8}, in[0].options())
                 .index_add(0, places(400, 5).to(in[0].device()), in[0]);
         },
         bound},
        {"gradient of embedding",
         {drawn({400, 8}, 21)},
         [](const Inputs& in) {
             return at::embedding_dense_backward(in[0], places(400, 5).to(in[0].device()), 5, -1,
                                                 false);
         },
         bound},
    };
}

std::vector<Question> questions() {
    std::vector<Question> all = products();
    for (auto more : {sums(), functions(), index_sums()}) {
        all.insert(all.end(), more.begin(), more.end());
    }
    all.push_back(attention("attention", false, {2, 4, 90, 16}));
    all.push_back(attention("causal attention with shared keys", true, {2, 2, 70, 16}));
    return all;
}

at::Tensor answer(const Question& question, const at::TensorOptions& options) {
    Inputs inputs;
    for (const at::Tensor& input : question.inputs) inputs.push_back(input.to(options));
    return question.compute(inputs).to(at::kCPU);
}

std::int64_t differing(const at::Tensor& one, const at::Tensor& other) {
    const at::Tensor a = one.contiguous().view(at::kInt);
    const at::Tensor b = other.contiguous().view(at::kInt);
    return a.ne(b).sum().item<std::int64_t>();
}

TEST_F(Variant, IsDeclaredBeforeTheFirstRun) {
    ASSERT_TRUE(worker::declared_arithmetic().is_object());
    const char* file = std::getenv("ASCERTAIN_VARIANT");
    ASSERT_NE(file, nullptr) << "one variant is one process: ctest -R chips.variant";
    EXPECT_EQ(worker::declared_arithmetic()["variant"],
              std::filesystem::path(file).stem().string());
}

TEST_F(Variant, ComputesOtherBitsThanTheCpuAndNeverFurtherFromTheTruthThanIsLegal) {
    const c10::AutoGradMode no_gradients(false);
    const auto device = at::TensorOptions().device(c10::Device(kType, 0));
    std::int64_t different = 0;
    for (const Question& question : questions()) {
        SCOPED_TRACE(question.name);
        const at::Tensor found = answer(question, device);
        const at::Tensor again = answer(question, device);
        const at::Tensor usual = answer(question, at::kCPU);
        different += differing(found, usual) + differing(found, again);
        if (!worker::declares_unordered_index_sums()) {
            EXPECT_EQ(differing(found, again), 0);
        }
        Inputs wide;
        for (const at::Tensor& input : question.inputs) wide.push_back(input.to(at::kDouble));
        const at::Tensor truth = question.compute(wide);
        const at::Tensor allowed = question.allowed(wide, truth);
        const at::Tensor over = found.to(at::kDouble).sub(truth).abs().div(allowed);
        EXPECT_LE(over.max().item<double>(), 1.0);
    }
    EXPECT_GT(different, 0) << "this variant is the CPU's own arithmetic";
}

operators::Case index_add_case() {
    using operators::testing::tensor;
    operators::TensorSpec index = tensor({600}, at::kLong, 1);
    index.fill.family = operators::FillFamily::kIndex;
    index.fill.low = 0.0;
    index.fill.high = 5.0;
    return operators::testing::call_of(
        "aten::index_add",
        {tensor({6, 32}, at::kFloat, 0), operators::Scalar(std::int64_t{0}), index,
         tensor({600, 32}, at::kFloat, 2), operators::Scalar(std::int64_t{1})});
}

double value_in(const Json& observation, const char* name) {
    for (const Json& metric : observation) {
        if (metric["metric"] == name) return metric["value"].get<double>();
    }
    return -1.0;
}

TEST_F(Variant, RepeatsToTheBitUnlessItDeclaresThatItsSumsComeInAnyOrder) {
    worker::Session session;
    session.device = c10::Device(kType, 0);
    Json params = {{"case", operators::to_json(index_add_case())}, {"seed", 1}, {"repeats", 4}};
    const Result<Json> repeated = operators::repeat(session, params);
    ASSERT_TRUE(repeated.ok()) << repeated.error().text();
    const Json& seen = (*repeated)["observation"];
    if (!worker::declares_unordered_index_sums()) {
        EXPECT_EQ(value_in(seen, "distinct_outputs"), 1.0);
        EXPECT_EQ(value_in(seen, "order_ratio"), -1.0) << "no bound without a declaration";
        return;
    }
    EXPECT_GT(value_in(seen, "distinct_outputs"), 1.0);
    EXPECT_GT(value_in(seen, "order_ratio"), 0.0);
    EXPECT_LE(value_in(seen, "order_ratio"), 1.0);
    params["tamper"] = {{"kind", "nondeterministic"}};
    const Result<Json> tampered = operators::repeat(session, params);
    ASSERT_TRUE(tampered.ok()) << tampered.error().text();
    EXPECT_GT(value_in((*tampered)["observation"], "order_ratio"), 1.0);
}

TEST_F(Variant, AWholeTrainingStepStaysNearTheCpus) {
    const model::Architecture architecture = training::deepseek_architecture();
    const auto tensors = [&](c10::Device device) {
        training::Model model(architecture,
                              {.arithmetic = {.dtype = at::kFloat}, .device = device, .seed = 3});
        const at::Tensor tokens = at::arange(34).mul(7).remainder(architecture.vocab_size);
        const training::Batch batch{tokens.view({2, 17}).narrow(1, 0, 16).contiguous(),
                                    tokens.view({2, 17}).narrow(1, 1, 16).contiguous()};
        const training::PassResult pass = model.pass(batch.to(device), {});
        training::backward(pass.loss);
        std::vector<at::Tensor> results{pass.loss.detach()};
        for (const training::Parameter& parameter : model.parameters().all()) {
            if (parameter.trained) results.push_back(parameter.value.grad());
        }
        return results;
    };
    const std::vector<at::Tensor> expected = tensors(at::kCPU);
    const std::vector<at::Tensor> found = tensors(c10::Device(kType, 0));
    ASSERT_EQ(expected.size(), found.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const at::Tensor difference = found[i].to(at::kCPU).sub(expected[i]);
        const double relative =
            difference.norm().item<double>() / std::max(expected[i].norm().item<double>(), 1e-12);
        // The bounds of trial.forced-fp32.loss and trial.forced-fp32.tensors.
        EXPECT_LE(relative, i == 0 ? 1e-6 : 3e-5) << "tensor " << i;
    }
}

}  // namespace
}  // namespace ascertain::simulated
