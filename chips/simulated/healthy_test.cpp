// Healthy, the simulated device equals the CPU bit for bit.
#include <ATen/DeviceAccelerator.h>
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "chips/simulated/plugin_for_test.hpp"
#include "worker/host/requests.hpp"
#include "worker/operators/replay.hpp"
#include "worker/operators/testing.hpp"
#include "worker/training/model.hpp"
#include "worker/training/optimizer.hpp"
#include "worker/training/test_architectures.hpp"

namespace ascertain::simulated {
namespace {

// Before the first backward of the process: torch counts devices there once.
class Simulated : public ::testing::Test {
protected:
    static void SetUpTestSuite() { ASSERT_EQ(load_plugin(), ""); }
    static c10::Device device(int index = 0) {
        return {c10::DeviceType::PrivateUse1, static_cast<c10::DeviceIndex>(index)};
    }
};

bool same_bits(const at::Tensor& one, const at::Tensor& other) {
    const at::Tensor a = one.to(at::kCPU).contiguous();
    const at::Tensor b = other.to(at::kCPU).contiguous();
    return a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type() &&
           std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes()) == 0;
}

training::Batch batch_of(const model::Architecture& architecture, std::int64_t step) {
    at::Tensor tokens =
        at::arange(std::int64_t{2} * 17).mul(7).add(3 + step).remainder(architecture.vocab_size);
    tokens = tokens.view({2, 17});
    return {tokens.narrow(1, 0, 16).contiguous(), tokens.narrow(1, 1, 16).contiguous()};
}

// Losses, then all gradients of the last step, then all weights, after `steps` whole steps.
std::vector<at::Tensor> trained(const model::Architecture& architecture, at::ScalarType dtype,
                                c10::Device device, int steps) {
    training::Model model(architecture,
                          {.arithmetic = {.dtype = dtype}, .device = device, .seed = 3});
    training::Adamw optimizer(model.parameters(), {});
    std::vector<at::Tensor> results;
    for (int step = 0; step < steps; ++step) {
        model.parameters().clear_gradients();
        const training::PassResult pass = model.pass(batch_of(architecture, step).to(device), {});
        training::backward(pass.loss);
        results.push_back(pass.loss.detach());
        results.push_back(training::clip_gradients(model.parameters(), 1.0));
        const c10::AutoGradMode no_gradients(false);
        optimizer.step(1e-3);
    }
    for (const training::Parameter& parameter : model.parameters().all()) {
        if (parameter.trained) results.push_back(parameter.value.grad());
        results.push_back(parameter.value.detach());
    }
    return results;
}

void expect_same_training(const model::Architecture& architecture, at::ScalarType dtype,
                          c10::Device device) {
    const std::vector<at::Tensor> expected = trained(architecture, dtype, at::kCPU, 3);
    const std::vector<at::Tensor> found = trained(architecture, dtype, device, 3);
    ASSERT_EQ(expected.size(), found.size());
    int different = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        EXPECT_EQ(found[i].device(), device);
        different += same_bits(expected[i], found[i]) ? 0 : 1;
    }
    EXPECT_EQ(different, 0) << "of " << expected.size() << " tensors";
}

TEST_F(Simulated, ThreeStepsOfADenseModelEqualTheCpuBitForBit) {
    expect_same_training(training::dense_architecture(), at::kFloat, device());
    expect_same_training(training::dense_architecture(), at::kBFloat16, device());
}

TEST_F(Simulated, ThreeStepsOfADeepSeekLikeModelEqualTheCpuBitForBit) {
    model::Architecture architecture = training::deepseek_architecture();
    architecture.mtp_layers = 1;
    expect_same_training(architecture, at::kFloat, device());
    expect_same_training(architecture, at::kBFloat16, device(1));
}

using Computation = std::function<std::vector<at::Tensor>(c10::Device)>;

struct NamedComputation {
    const char* name;
    Computation run;
};

at::Tensor seeded(at::IntArrayRef shape, c10::Device device) {
    at::manual_seed(17);
    return at::randn(shape, at::TensorOptions().device(device));
}

std::vector<NamedComputation> computations() {
    return {
        {"in place on slices",
         [](c10::Device d) {
             at::Tensor x = seeded({16, 8}, d);
             x.narrow(0, 0, 8).mul_(2.0).add_(x.narrow(0, 8, 8));
             x.t().select(0, 3).zero_();
             return std::vector{x};
         }},
        {"out= into an empty tensor and into a view",
         [](c10::Device d) {
             const at::Tensor x = seeded({6, 6}, d);
             at::Tensor out = at::empty({0}, x.options());
             at::mm_out(out, x, x.t());
             at::Tensor wide = at::zeros({6, 12}, x.options());
             at::Tensor half = wide.narrow(1, 6, 6);
             at::add_out(half, x, out);
             return std::vector{out, wide};
         }},
        {"random numbers of a seed, dropout, permutations",
         [](c10::Device d) {
             const at::Tensor x = seeded({64}, d);
             return std::vector{x, at::dropout(x, 0.3, true), x.clone().bernoulli_(0.4),
                                at::randperm(50, x.options().dtype(at::kLong)),
                                x.clone().exponential_()};
         }},
        {"topk, sort, cumsum, gather",
         [](c10::Device d) {
             const at::Tensor x = seeded({12, 20}, d);
             const auto [values, places] = at::topk(x, 4);
             const auto [sorted, order] = at::sort(x, 1);
             return std::vector{values, places,           sorted,
                                order,  at::cumsum(x, 0), at::gather(x, 1, places)};
         }},
        {"index, index_put with accumulation, scatter_add, nonzero",
         [](c10::Device d) {
             at::Tensor x = seeded({10, 4}, d);
             const at::Tensor rows =
                 at::arange(20, x.options().dtype(at::kLong)).remainder(7).contiguous();
             const at::Tensor picked = at::index_select(x, 0, rows);
             x.index_put_({rows}, picked, true);
             const at::Tensor added =
                 at::zeros({10, 4}, x.options())
                     .scatter_add(0, rows.view({20, 1}).expand({20, 4}), picked);
             return std::vector{picked, x, added, at::nonzero(x.gt(0.5))};
         }},
        {"lists of tensors",
         [](c10::Device d) {
             const at::Tensor x = seeded({9, 3}, d);
             std::vector<at::Tensor> list = {x.clone(), x.mul(2.0), x.t().clone()};
             at::_foreach_mul_(list, 0.5);
             at::_foreach_add_(list, 1.0);
             std::vector<at::Tensor> norms = at::_foreach_norm(list);
             list.insert(list.end(), norms.begin(), norms.end());
             list.push_back(at::cat({x, x.narrow(0, 1, 4)}));
             return list;
         }},
        {"layer norm, convolution, attention",
         [](c10::Device d) {
             const at::Tensor x = seeded({2, 4, 16, 32}, d).to(at::kBFloat16);
             const at::Tensor kernel = seeded({5, 4, 3, 3}, d).to(at::kBFloat16);
             return std::vector{at::layer_norm(x, {32}), at::conv2d(x, kernel),
                                at::scaled_dot_product_attention(x, x, x, {}, 0.0, true)};
         }},
        {"complex numbers and their conjugates",
         [](c10::Device d) {
             const at::Tensor z = at::view_as_complex(seeded({8, 2}, d));
             return std::vector{at::view_as_real(z.conj().resolve_conj()),
                                at::view_as_real(z.conj().mul(z)), at::imag(z.conj()).clone()};
         }},
        {"storage: resize, set, views of another dtype",
         [](c10::Device d) {
             at::Tensor x = seeded({4, 4}, d);
             at::Tensor y = at::empty({0}, x.options());
             y.set_(x);
             y.add_(1.0);
             at::Tensor grown = x.clone();
             grown.resize_({6, 4});
             grown.narrow(0, 4, 2).zero_();
             return std::vector{x, y, grown, x.view(at::kInt)};
         }},
    };
}

TEST_F(Simulated, OperatorsEqualTheCpuBitForBit) {
    for (const NamedComputation& computation : computations()) {
        const std::vector<at::Tensor> expected = computation.run(at::kCPU);
        const std::vector<at::Tensor> found = computation.run(device());
        ASSERT_EQ(expected.size(), found.size()) << computation.name;
        for (std::size_t i = 0; i < expected.size(); ++i) {
            EXPECT_TRUE(same_bits(expected[i], found[i])) << computation.name << ", result " << i;
            EXPECT_EQ(found[i].device(), device()) << computation.name << ", result " << i;
        }
    }
}

TEST_F(Simulated, AViewSharesItsBasesMemory) {
    const at::Tensor x = at::zeros({4, 4}, at::TensorOptions().device(device()));
    x.unfold(0, 2, 2).fill_(3.0);
    EXPECT_EQ(x.sum().item<float>(), 48.0F);
}

TEST_F(Simulated, MemoryIsCountedPerDevice) {
    const auto used = [](int index) {
        return at::accelerator::getDeviceStats(static_cast<c10::DeviceIndex>(index))
            .allocated_bytes[0]
            .current;
    };
    const std::int64_t before_0 = used(0);
    const std::int64_t before_1 = used(1);
    {
        const at::Tensor x = at::ones({1024}, at::TensorOptions().device(device(1)));
        const at::Tensor y = x.add(x);
        EXPECT_EQ(used(1) - before_1, 2 * 4096);
        EXPECT_EQ(used(0), before_0);
    }
    EXPECT_EQ(used(1), before_1);
    at::accelerator::resetPeakStats(1);
    EXPECT_EQ(at::accelerator::getDeviceStats(1).allocated_bytes[0].peak, before_1);
    const auto [free, total] = at::accelerator::getMemoryInfo(0);
    EXPECT_GT(free, 0U);
    EXPECT_LE(free, total);
    EXPECT_THROW(
        static_cast<void>(at::empty({std::int64_t{1} << 50}, at::TensorOptions().device(device()))),
        c10::OutOfMemoryError);
}

TEST_F(Simulated, TensorsOfTwoDevicesDoNotMix) {
    const at::Tensor here = at::ones({3, 3}, at::TensorOptions().device(device(0)));
    const at::Tensor there = at::ones({3, 3}, at::TensorOptions().device(device(1)));
    const at::Tensor host = at::ones({3, 3});
    EXPECT_THROW(static_cast<void>(at::mm(here, there)), c10::Error);
    EXPECT_THROW(static_cast<void>(at::mm(here, host)), c10::Error);
    EXPECT_THROW(static_cast<void>(at::add(here, there)), c10::Error);
    EXPECT_THROW(static_cast<void>(at::empty({1}, at::TensorOptions().device(device(2)))),
                 c10::Error);
    EXPECT_TRUE(same_bits(there.to(device(0)).add(here), host.mul(2.0)));
    EXPECT_EQ(here.add(at::scalar_tensor(2.0)).device(), device(0));
}

worker::Session session_on(c10::Device device) {
    worker::Session session;
    session.device = device;
    return session;
}

TEST_F(Simulated, TheWorkerDescribesIt) {
    worker::Session session = session_on(device(1));
    const Result<Json> described = worker::describe(session, {});
    ASSERT_TRUE(described) << described.error().text();
    EXPECT_EQ((*described)["device"], "simulated:1");
    EXPECT_EQ((*described)["peers"], Json::array({"simulated:0"}));
    EXPECT_GT((*described)["memory_bytes"], 0);
    EXPECT_GT((*described)["native_operators"], 500);
    EXPECT_TRUE((*described)["dtypes"].is_array() && (*described)["dtypes"].size() == 12);
}

TEST_F(Simulated, ReplayedCasesGiveTheCpusObservations) {
    using operators::testing::call_of;
    using operators::testing::tensor;
    worker::Session simulated = session_on(device());
    worker::Session cpu = session_on(at::kCPU);
    const std::vector<operators::Case> cases = {
        operators::testing::matrix_product(32, 256, 48, at::kBFloat16),
        call_of("aten::topk",
                {tensor({16, 64}, at::kBFloat16, 0), operators::Scalar(std::int64_t{4}),
                 operators::Scalar(std::int64_t{-1}), operators::Scalar(true),
                 operators::Scalar(true)}),
    };
    for (const operators::Case& operator_case : cases) {
        const Json params = {{"case", operators::to_json(operator_case)}, {"seed", 11}};
        const Result<Json> expected = operators::replay(cpu, params);
        const Result<Json> found = operators::replay(simulated, params);
        ASSERT_TRUE(expected) << expected.error().text();
        ASSERT_TRUE(found) << found.error().text();
        EXPECT_EQ((*found)["observation"], (*expected)["observation"]) << operator_case.op;
    }
}

}  // namespace
}  // namespace ascertain::simulated
