#include "worker/training/sides.hpp"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

namespace ascertain::training {
namespace {

constexpr std::int64_t kDeviceParts = 2;
constexpr std::int64_t kTwinParts = 3;  // differs from both sides of a CPU compared with itself

}  // namespace

Side device_side(at::Device device, at::ScalarType dtype) {
    Side side{.arithmetic = {.dtype = dtype}, .device = device, .threads = 0, .description = ""};
    if (!device.is_cpu()) {
        side.description =
            fmt::format("the kernels of {} in {}", device.str(), name_of_dtype(dtype));
        return side;
    }
    side.threads = 1;
    if (dtype == at::kFloat) {
        side.arithmetic.summation_parts = kDeviceParts;
        side.description =
            "cpu in fp32, inner products summed in two parts, attention spelt out, one thread";
    } else {
        side.description = fmt::format("cpu, its own {} kernels, one thread", name_of_dtype(dtype));
    }
    return side;
}

Side reference_side() {
    return {.arithmetic = {}, .device = at::kCPU, .threads = 0, .description = "cpu in fp32"};
}

Side twin_side(at::ScalarType dtype) {
    Side side = reference_side();
    side.arithmetic.dtype = dtype;
    if (dtype == at::kFloat) {
        side.arithmetic.summation_parts = kTwinParts;
        side.description = "cpu in fp32, inner products summed in three parts";
    } else {
        side.arithmetic.emulated = true;
        side.description = fmt::format("cpu in fp32, rounded where {} is", name_of_dtype(dtype));
    }
    return side;
}

ThreadCount::ThreadCount(int threads) {
    if (threads == 0 || threads == at::get_num_threads()) return;
    before_ = at::get_num_threads();
    at::set_num_threads(threads);
}

ThreadCount::~ThreadCount() {
    if (before_ != 0) at::set_num_threads(before_);
}

RepeatableKernels::RepeatableKernels()
    : before_(at::globalContext().deterministicAlgorithms()),
      warned_only_before_(at::globalContext().deterministicAlgorithmsWarnOnly()) {
    at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
}

RepeatableKernels::~RepeatableKernels() {
    at::globalContext().setDeterministicAlgorithms(before_, warned_only_before_);
}

}  // namespace ascertain::training
