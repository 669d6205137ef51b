#include "chips/simulated/allocator.hpp"

#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <utility>

namespace ascertain::simulated {
namespace {

using c10::CachingDeviceAllocator::DeviceStats;

std::size_t capacity_bytes() {
    static const std::size_t bytes = [] {
        const long pages = ::sysconf(_SC_PHYS_PAGES);
        const long page_bytes = ::sysconf(_SC_PAGESIZE);
        return static_cast<std::size_t>(pages) * static_cast<std::size_t>(page_bytes) /
               static_cast<std::size_t>(device_count());
    }();
    return bytes;
}

// Applies `change(stat, amount)` to what one block of `bytes` counts in.
template <typename Change>
void enter_books(DeviceStats& books, std::size_t bytes, const Change& change) {
    for (auto* array : {&books.allocation, &books.active, &books.segment}) change((*array)[0], 1);
    for (auto* array : {&books.allocated_bytes, &books.active_bytes, &books.reserved_bytes,
                        &books.requested_bytes}) {
        change((*array)[0], bytes);
    }
}

template <typename Change>
void for_each_stat(DeviceStats& books, const Change& change) {
    for (auto* array : {&books.allocation, &books.active, &books.segment, &books.allocated_bytes,
                        &books.active_bytes, &books.reserved_bytes, &books.requested_bytes}) {
        for (auto& stat : *array) change(stat);
    }
}

}  // namespace

// Owns its memory as a data pointer of the CPU's allocator or as a storage a host kernel made.
struct DeviceMemory::Block {
    c10::DeviceIndex device = 0;
    std::size_t bytes = 0;
    c10::DataPtr own;
    c10::Storage adopted;
};

void DeviceMemory::release(void* block) {
    const std::unique_ptr<Block> owned(static_cast<Block*>(block));
    DeviceMemory& memory = device_memory();
    const std::lock_guard lock(memory.mutex_);
    DeviceStats& books = memory.books_[static_cast<std::size_t>(owned->device)];
    enter_books(books, owned->bytes, [](auto& stat, std::size_t amount) { stat.decrease(amount); });
    ++books.num_device_free;
}

void DeviceMemory::reserve(c10::DeviceIndex device, std::size_t bytes) {
    TORCH_CHECK(load_failure().empty(), load_failure());
    check_index(device);
    const std::lock_guard lock(mutex_);
    DeviceStats& books = books_[static_cast<std::size_t>(device)];
    const auto used = static_cast<std::size_t>(books.allocated_bytes[0].current);
    if (bytes > capacity_bytes() - std::min(used, capacity_bytes())) {
        ++books.num_ooms;
        TORCH_CHECK_WITH(OutOfMemoryError, false, "simulated:", int{device},
                         " is out of memory: ", bytes, " bytes asked for, ", used, " of ",
                         capacity_bytes(), " in use");
    }
    enter_books(books, bytes, [](auto& stat, std::size_t amount) { stat.increase(amount); });
    ++books.num_device_alloc;
}

c10::DataPtr DeviceMemory::enter(Block* block) {
    void* data = block->adopted ? block->adopted.mutable_data() : block->own.get();
    return {data, block, &release, c10::Device(kDeviceType, block->device)};
}

c10::DataPtr DeviceMemory::allocate(std::size_t bytes) {
    return allocate_on(current_device(), bytes);
}

c10::DataPtr DeviceMemory::allocate_on(c10::DeviceIndex device, std::size_t bytes) {
    if (bytes == 0) {
        TORCH_CHECK(load_failure().empty(), load_failure());
        return {nullptr, c10::Device(kDeviceType, device)};
    }
    reserve(device, bytes);
    return enter(new Block{device, bytes, c10::GetCPUAllocator()->allocate(bytes), {}});
}

c10::DataPtr DeviceMemory::adopt(c10::DeviceIndex device, c10::Storage host) {
    const std::size_t bytes = host.nbytes();
    if (bytes == 0) return {nullptr, c10::Device(kDeviceType, device)};
    reserve(device, bytes);
    return enter(new Block{device, bytes, {}, std::move(host)});
}

void DeviceMemory::copy_data(void* destination, const void* source, std::size_t bytes) const {
    std::memcpy(destination, source, bytes);
}

DeviceStats DeviceMemory::getDeviceStats(c10::DeviceIndex device) {
    check_index(device);
    const std::lock_guard lock(mutex_);
    return books_[static_cast<std::size_t>(device)];
}

void DeviceMemory::resetAccumulatedStats(c10::DeviceIndex device) {
    check_index(device);
    const std::lock_guard lock(mutex_);
    for_each_stat(books_[static_cast<std::size_t>(device)],
                  [](auto& stat) { stat.reset_accumulated(); });
}

void DeviceMemory::resetPeakStats(c10::DeviceIndex device) {
    check_index(device);
    const std::lock_guard lock(mutex_);
    for_each_stat(books_[static_cast<std::size_t>(device)], [](auto& stat) { stat.reset_peak(); });
}

std::pair<std::size_t, std::size_t> DeviceMemory::getMemoryInfo(c10::DeviceIndex device) {
    check_index(device);
    const std::lock_guard lock(mutex_);
    const auto used = static_cast<std::size_t>(
        books_[static_cast<std::size_t>(device)].allocated_bytes[0].current);
    return {capacity_bytes() - std::min(used, capacity_bytes()), capacity_bytes()};
}

DeviceMemory& device_memory() {
    static auto* memory = new DeviceMemory;
    return *memory;
}

}  // namespace ascertain::simulated
