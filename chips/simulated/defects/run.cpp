// Effects on how a call runs: what it draws, what stops it, what it costs.
#include <c10/util/Exception.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "chips/simulated/allocator.hpp"
#include "chips/simulated/defects/effects.hpp"
#include "chips/simulated/device.hpp"

namespace ascertain::simulated::defects {
namespace {

std::array<std::atomic<bool>, kDevicesMax> lost{};

void wait(double seconds) {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

bool repeat_random(Moment& moment) {
    bool done = false;
    for (const Output& output : moment.outputs) {
        const at::Tensor& now = output.now;
        if (now.numel() == 0) continue;
        std::string key = c10::toString(now.scalar_type());
        for (const std::int64_t size : now.sizes()) key += ' ' + std::to_string(size);
        const auto [place, is_new] = moment.memory.by_shape.emplace(key, at::Tensor());
        if (is_new) {
            place->second = now.clone();
            continue;
        }
        now.copy_(place->second);
        done = true;
    }
    return done;
}

bool narrow_random(Moment& moment) {
    const std::int64_t bound = std::int64_t{1}
                               << std::min<std::int64_t>(62, moment.does.whole("bits"));
    bool done = false;
    for (const Output& output : moment.outputs) {
        const at::Tensor& now = output.now;
        if (!at::isIntegralType(now.scalar_type(), false) || now.numel() == 0) continue;
        const at::Tensor narrow = now.remainder(bound);
        done |= !narrow.equal(now);
        now.copy_(narrow);
    }
    return done;
}

bool throw_error(Moment& moment) {
    TORCH_CHECK(false, moment.does.word("message"), " [", moment.id, "]");
    return true;
}

bool sleep(Moment& moment) {
    wait(moment.does.number("for"));
    return true;
}

bool slow_down(Moment& moment) {
    const double factor =
        moment.does.number("factor") + moment.does.number("growth_per_busy_s") * moment.busy_s;
    if (factor <= 1.0) return false;
    wait((factor - 1.0) * moment.elapsed_s);
    return true;
}

bool hang(Moment&) {
    for (;;) wait(3600.0);
}

bool crash(Moment&) {
    std::abort();
}

bool lose_device(Moment& moment) {
    lost[static_cast<std::size_t>(device_of(moment))] = true;
    TORCH_CHECK(false, "the simulated device is lost");
    return true;
}

bool out_of_memory(Moment&) {
    TORCH_CHECK_WITH(OutOfMemoryError, false, "the simulated device is out of memory");
    return true;
}

void hold(Moment& moment, std::int64_t bytes) {
    moment.memory.held.push_back(
        device_memory().allocate_on(device_of(moment), static_cast<std::size_t>(bytes)));
}

bool leak_memory(Moment& moment) {
    hold(moment, moment.does.whole("bytes"));
    return true;
}

bool hold_memory(Moment& moment) {
    if (moment.memory.held.empty()) hold(moment, moment.does.whole("bytes"));
    return true;
}

constexpr std::array kActions{Action{"repeat_random", Stage::kAfter, repeat_random},
                              Action{"narrow_random", Stage::kAfter, narrow_random},
                              Action{"raise", Stage::kBefore, throw_error},
                              Action{"sleep", Stage::kBefore, sleep},
                              Action{"slow_down", Stage::kAfter, slow_down},
                              Action{"hang", Stage::kBefore, hang},
                              Action{"crash", Stage::kBefore, crash},
                              Action{"lose_device", Stage::kBefore, lose_device},
                              Action{"out_of_memory", Stage::kBefore, out_of_memory},
                              Action{"leak_memory", Stage::kBefore, leak_memory},
                              Action{"hold_memory", Stage::kBefore, hold_memory}};

}  // namespace

bool device_lost(c10::DeviceIndex device) {
    return lost[static_cast<std::size_t>(device)];
}

c10::DeviceIndex device_of(const Moment& moment) {
    return moment.call.device < 0 ? current_device()
                                  : static_cast<c10::DeviceIndex>(moment.call.device);
}

std::span<const Action> run_actions() {
    return kActions;
}

}  // namespace ascertain::simulated::defects
