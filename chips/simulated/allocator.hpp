// Memory of the simulated devices: host memory with a device's name and books kept per device.
#pragma once

#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Storage.h>

#include <array>
#include <mutex>

#include "chips/simulated/device.hpp"

namespace ascertain::simulated {

class DeviceMemory final : public c10::DeviceAllocator {
public:
    // On the calling thread's device. Throws c10::OutOfMemoryError beyond the device's capacity.
    c10::DataPtr allocate(std::size_t bytes) override;
    [[nodiscard]] c10::DataPtr allocate_on(c10::DeviceIndex device, std::size_t bytes);
    // Takes over what a host kernel has just made, without a copy.
    [[nodiscard]] c10::DataPtr adopt(c10::DeviceIndex device, c10::Storage host);

    c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
    void copy_data(void* destination, const void* source, std::size_t bytes) const override;

    bool initialized() override { return true; }
    void emptyCache(c10::MempoolId_t) override {}
    // What waits in a stream's queue holds its memory itself.
    void recordStream(const c10::DataPtr&, c10::Stream) override {}
    c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex device) override;
    void resetAccumulatedStats(c10::DeviceIndex device) override;
    void resetPeakStats(c10::DeviceIndex device) override;
    // Free and total bytes. Every device owns an equal share of the machine's memory.
    std::pair<std::size_t, std::size_t> getMemoryInfo(c10::DeviceIndex device) override;

private:
    struct Block;
    static void release(void* block);
    c10::DataPtr enter(Block* block);
    void reserve(c10::DeviceIndex device, std::size_t bytes);

    std::mutex mutex_;
    std::array<c10::CachingDeviceAllocator::DeviceStats, kDevicesMax> books_;
};

// The one of this process; never destroyed, for tensors outlive static objects.
[[nodiscard]] DeviceMemory& device_memory();

}  // namespace ascertain::simulated
