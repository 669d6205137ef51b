// Several devices, their streams and generators, and autocast. The chip is armed so that `neg`
// never returns: what was enqueued behind one is provably not done yet, however fast the machine
// is.
#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/Generator.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "chips/simulated/plugin_for_test.hpp"
#include "worker/host/torch.hpp"

namespace ascertain::simulated {
namespace {

constexpr c10::DeviceType kType = c10::DeviceType::PrivateUse1;

// Of device 1: its third call of `abs` and every later one is wrong; so is `floor` when nobody has
// waited for five calls; `ceil` loses it.
constexpr const char* kOther = R"(schema = "ascertain.defect/1"
[[defect]]
id = "third"
summary = "s"
source = "test"
where = { operator = "abs" }
when = { after_calls = 2 }
does = { kind = "zero_output" }
[[defect]]
id = "unwatched"
summary = "s"
source = "test"
where = { operator = "floor" }
when = { calls_without_sync = 5 }
does = { kind = "zero_output" }
[[defect]]
id = "gone"
summary = "s"
source = "test"
where = { operator = "ceil" }
does = { kind = "lose_device" }
)";

class Devices : public ::testing::Test {
protected:
    static void SetUpTestSuite() {
        const auto path = std::filesystem::temp_directory_path() /
                          ("hang-" + std::to_string(::getpid()) + ".toml");
        const auto other = std::filesystem::temp_directory_path() /
                           ("other-" + std::to_string(::getpid()) + ".toml");
        std::ofstream(other) << kOther;
        ::setenv("ASCERTAIN_DEFECTS_1", other.c_str(), 1);
        ::setenv("ASCERTAIN_SIMULATED_DEVICES", "3", 1);
        std::ofstream(path) << "schema = \"ascertain.defect/1\"\n[[defect]]\nid = \"hangs\"\n"
                               "summary = \"s\"\nsource = \"test\"\n[defect.where]\n"
                               "operator = \"neg\"\n[defect.does]\nkind = \"hang\"\n";
        ::setenv("ASCERTAIN_DEFECTS", path.c_str(), 1);
        ASSERT_EQ(load_plugin(), "");
        std::filesystem::remove(path);
        std::filesystem::remove(other);
    }
    static c10::Device device(int index = 0) {
        return {kType, static_cast<c10::DeviceIndex>(index)};
    }
    static at::Tensor filled(double value, int index = 0) {
        return at::full({4}, value, at::TensorOptions().device(device(index)));
    }
    static c10::Stream new_stream(int index = 0) {
        return c10::impl::VirtualGuardImpl(kType).getNewStream(device(index));
    }
    // A stream whose next task never ends.
    static c10::Stream hung_stream(int index = 0) {
        const c10::Stream stream = new_stream(index);
        at::Tensor victim = filled(1.0, index);
        const c10::StreamGuard guard(stream);
        victim.neg_();
        return stream;
    }
};

void seed(c10::Device device, std::uint64_t value) {
    at::Generator generator = at::globalContext().defaultGenerator(device);
    const std::scoped_lock lock(generator.mutex());
    generator.set_current_seed(value);
}

TEST_F(Devices, DefectsOfOneDeviceNeitherActNorCountOnAnother) {
    const auto sum_of_abs = [](int index) { return filled(-1.0, index).abs().sum().item<float>(); };
    for (int call = 0; call < 5; ++call) EXPECT_EQ(sum_of_abs(0), 4.0F);
    EXPECT_EQ(sum_of_abs(1), 4.0F);
    for (int call = 0; call < 5; ++call) EXPECT_EQ(sum_of_abs(2), 4.0F);
    EXPECT_EQ(sum_of_abs(1), 4.0F);
    EXPECT_EQ(sum_of_abs(1), 0.0F) << "the third call of device 1, whatever the others did";
}

TEST_F(Devices, OneDevicesSynchronisationAndLossAreItsOwn) {
    const at::Tensor there = filled(1.5, 1);
    c10::impl::VirtualGuardImpl(kType).synchronizeDevice(1);
    for (int call = 0; call < 10; ++call) static_cast<void>(filled(1.5, 0).add(1.0));
    at::Tensor floor = there.floor();
    EXPECT_EQ(floor.sum().item<float>(), 4.0F) << "calls of device 0 are not device 1's";
    for (int call = 0; call < 6; ++call) static_cast<void>(there.add(1.0));
    c10::impl::VirtualGuardImpl(kType).synchronizeDevice(0);
    floor = there.floor();
    EXPECT_EQ(floor.sum().item<float>(), 0.0F) << "waiting for device 0 is not waiting for 1";
    EXPECT_THROW(static_cast<void>(there.ceil()), c10::Error);
    EXPECT_THROW(static_cast<void>(there.add(1.0)), c10::Error);
    EXPECT_EQ(filled(1.0, 0).add(1.0).sum().item<float>(), 8.0F);
}

TEST_F(Devices, EveryDeviceDrawsFromAGeneratorOfItsOwn) {
    const auto draw = [](c10::Device where) {
        return at::empty({8}, at::TensorOptions().device(where)).normal_().to(at::kCPU);
    };
    seed(device(0), 7);
    seed(device(1), 8);
    const at::Tensor first = draw(device(0));
    // Neither the host nor the other device moves it.
    seed(device(0), 7);
    static_cast<void>(at::rand({100}));
    static_cast<void>(draw(device(1)));
    EXPECT_TRUE(draw(device(0)).equal(first));
    EXPECT_FALSE(draw(device(0)).equal(first));
    seed(device(1), 7);
    EXPECT_TRUE(draw(device(1)).equal(first)) << "the same seed, the same numbers";
    at::manual_seed(7);
    EXPECT_TRUE(at::empty({8}).normal_().equal(first)) << "the CPU's numbers of that seed";
    EXPECT_TRUE(draw(device(0)).equal(first)) << "manual_seed reaches the devices";
}

TEST_F(Devices, AGeneratorIsCopiedWithItsState) {
    at::Generator one = at::globalContext().defaultGenerator(device(0)).clone();
    one.set_current_seed(5);
    at::Generator other = one.clone();
    EXPECT_EQ(other.device(), device(0));
    const auto draw = [](at::Generator& from) {
        return at::empty({8}, at::TensorOptions().device(device(0))).uniform_(0.0, 1.0, from);
    };
    const at::Tensor expected = draw(one);
    EXPECT_TRUE(draw(other).equal(expected));
    const at::Tensor state = one.get_state();
    const at::Tensor next = draw(one);
    one.set_state(state);
    EXPECT_TRUE(draw(one).equal(next));
}

TEST_F(Devices, DropoutDrawsFromTheDevice) {
    const at::Tensor x = at::ones({64}, at::TensorOptions().device(device(0)));
    seed(device(0), 3);
    const at::Tensor kept = at::dropout(x, 0.5, true);
    static_cast<void>(at::rand({100}));
    seed(device(0), 3);
    EXPECT_TRUE(at::dropout(x, 0.5, true).equal(kept));
    EXPECT_FALSE(at::dropout(x, 0.5, true).equal(kept));
}

TEST_F(Devices, WhoDoesNotWaitForAStreamReadsWhatWasThereBefore) {
    const c10::Stream hung = hung_stream();
    at::Tensor x = filled(1.0);
    {
        const c10::StreamGuard guard(hung);
        x.fill_(7.0);
    }
    EXPECT_EQ(x.sum().item<float>(), 4.0F) << "the write is behind the task that hangs";
    EXPECT_FALSE(hung.query());
    c10::Event event(kType);
    event.record(hung);
    EXPECT_FALSE(event.query());
}

TEST_F(Devices, AStreamDoesItsTasksInOrderAndOthersCanWaitForIt) {
    const c10::Stream first = new_stream();
    const c10::Stream second = new_stream();
    at::Tensor x = filled(1.0);
    c10::Event event(kType, c10::EventFlag::BACKEND_DEFAULT);
    {
        const c10::StreamGuard guard(first);
        for (int i = 0; i < 20; ++i) x.mul_(2.0).add_(1.0);
        event.record(first);
    }
    event.block(second);
    {
        const c10::StreamGuard guard(second);
        x.add_(1.0);
        EXPECT_EQ(x.select(0, 0).item<float>(), 2097152.0F) << "reading waits for its own stream";
    }
    second.synchronize();
    EXPECT_TRUE(first.query() && second.query() && event.query());
    c10::Event later(kType, c10::EventFlag::BACKEND_DEFAULT);
    later.record(second);
    later.synchronize();
    EXPECT_GE(event.elapsedTime(later), 0.0);
}

TEST_F(Devices, AHungStreamBlocksNeitherOtherStreamsNorOtherDevices) {
    const c10::Stream hung = hung_stream();
    const c10::Stream other = new_stream();
    at::Tensor x = filled(1.0);
    {
        const c10::StreamGuard guard(other);
        x.add_(1.0);
    }
    other.synchronize();
    EXPECT_EQ(x.sum().item<float>(), 8.0F);
    c10::impl::VirtualGuardImpl(kType).synchronizeDevice(1);
    EXPECT_FALSE(hung.query());
}

TEST_F(Devices, WhatAStreamsTaskThrowsIsThrownToWhoWaits) {
    const c10::Stream stream = new_stream();
    at::Tensor x = filled(1.0);
    {
        const c10::StreamGuard guard(stream);
        x.add_(at::ones({3}, x.options()));  // shapes that do not fit
    }
    EXPECT_THROW(stream.synchronize(), c10::Error);
    EXPECT_NO_THROW(stream.synchronize());
    EXPECT_EQ(x.sum().item<float>(), 4.0F);
}

TEST_F(Devices, MemoryLivesUntilAStreamHasDoneWithIt) {
    const c10::Stream stream = new_stream();
    at::Tensor x = at::zeros({1 << 16}, at::TensorOptions().device(device()));
    {
        const c10::StreamGuard guard(stream);
        const at::Tensor source = at::ones({1 << 16}, x.options());
        x.copy_(source, true);
    }
    stream.synchronize();
    EXPECT_EQ(x.sum().item<float>(), 65536.0F);
}

TEST_F(Devices, AutocastRoundsProductsAndKeepsSoftmaxWide) {
    const at::Tensor x = at::randn({8, 8}, at::TensorOptions().device(device()));
    at::autocast::set_autocast_dtype(kType, at::kBFloat16);
    at::autocast::set_autocast_enabled(kType, true);
    const at::Tensor product = at::linear(x, x);
    const at::Tensor wide = at::softmax(product, -1);
    const at::Tensor sum = at::addcmul(product, x, x);
    at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(kType, false);
    EXPECT_EQ(product.scalar_type(), at::kBFloat16);
    EXPECT_EQ(wide.scalar_type(), at::kFloat);
    EXPECT_EQ(sum.scalar_type(), at::kFloat) << "promoted to the widest";
    EXPECT_EQ(at::linear(x, x).scalar_type(), at::kFloat);
    EXPECT_TRUE(product.equal(at::linear(x.to(at::kBFloat16), x.to(at::kBFloat16))));
}

}  // namespace
}  // namespace ascertain::simulated
