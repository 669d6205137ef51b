// How the sides of a comparison compute: the device, the reference, and the reference's healthy
// twin.
#pragma once

#include <c10/core/Device.h>

#include <string>

#include "worker/training/arithmetic.hpp"

namespace ascertain::training {

struct Side {
    Arithmetic arithmetic;
    at::Device device = at::kCPU;
    int threads = 0;          // 0: as the process has them
    std::string description;  // for the answer's `device_side`
};

// The device with its own kernels. Where the device is the CPU, whose kernels the reference uses
// too, its fp32 side sums every inner product in two parts, spells attention out and runs on one
// thread: other arithmetic that is just as legitimate, so that the comparison is not of a thing
// with itself.
[[nodiscard]] Side device_side(at::Device device, at::ScalarType dtype);
// The CPU in fp32.
[[nodiscard]] Side reference_side();
// The CPU with what a healthy device in this precision would do to the numbers: rounding at the
// same places, or in fp32 another order of summation.
[[nodiscard]] Side twin_side(at::ScalarType dtype);

// While it lives, torch uses `threads` threads (0: as before).
class ThreadCount {
public:
    explicit ThreadCount(int threads);
    ~ThreadCount();
    ThreadCount(const ThreadCount&) = delete;
    ThreadCount& operator=(const ThreadCount&) = delete;

private:
    int before_ = 0;
};

// While it lives, torch prefers kernels that give the same bits on every run, where a device has
// them.
class RepeatableKernels {
public:
    RepeatableKernels();
    ~RepeatableKernels();
    RepeatableKernels(const RepeatableKernels&) = delete;
    RepeatableKernels& operator=(const RepeatableKernels&) = delete;

private:
    bool before_ = false;
    bool warned_only_before_ = false;
};

}  // namespace ascertain::training
