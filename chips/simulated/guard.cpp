#include "chips/simulated/guard.hpp"
#include "chips/simulated/defects/engine.hpp"

#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <cstring>
#include <utility>

#include "chips/simulated/allocator.hpp"
#include "chips/simulated/generator.hpp"
#include "chips/simulated/streams.hpp"

namespace ascertain::simulated {
namespace {

struct Guard final : c10::impl::DeviceGuardImplInterface {
    c10::DeviceType type() const override { return kDeviceType; }
    c10::Device exchangeDevice(c10::Device device) const override {
        const c10::Device before = getDevice();
        setDevice(device);
        return before;
    }
    c10::Device getDevice() const override { return {kDeviceType, current_device()}; }
    void setDevice(c10::Device device) const override {
        if (!device.has_index()) return;
        check_index(device.index());
        set_current_device(device.index());
    }
    void uncheckedSetDevice(c10::Device device) const noexcept override {
        if (device.has_index()) set_current_device(device.index());
    }
    c10::DeviceIndex deviceCount() const noexcept override { return device_count(); }

    c10::Stream getStream(c10::Device device) const override {
        return current_stream(index_of(device));
    }
    c10::Stream getDefaultStream(c10::Device device) const override {
        return default_stream(index_of(device));
    }
    c10::Stream getStreamFromGlobalPool(c10::Device device, bool) const override {
        return pooled_stream(index_of(device));
    }
    c10::Stream getNewStream(c10::Device device, int) const override {
        return new_stream(index_of(device));
    }
    c10::Stream exchangeStream(c10::Stream stream) const override {
        return exchange_stream(stream);
    }
    bool queryStream(const c10::Stream& stream) const override { return is_idle(stream); }
    void synchronizeStream(const c10::Stream& stream) const override {
        wait_for_stream(stream);
        defects::synchronised(stream.device_index());
    }
    void synchronizeDevice(c10::DeviceIndex device) const override {
        check_index(device);
        wait_for_device(device);
        defects::synchronised(device);
    }

    void record(void** event, const c10::Stream& stream, c10::DeviceIndex,
                c10::EventFlag) const override {
        record_event(event, stream);
    }
    void block(void* event, const c10::Stream& stream) const override {
        make_stream_wait(event, stream);
    }
    bool queryEvent(void* event) const override { return event_is_done(event); }
    void synchronizeEvent(void* event) const override {
        wait_for_event(event);
        defects::synchronised(current_device());
    }
    void destroyEvent(void* event, c10::DeviceIndex) const noexcept override {
        destroy_event(event);
    }
    double elapsedTime(void* from, void* to, c10::DeviceIndex) const override {
        return elapsed_ms(from, to);
    }

private:
    static c10::DeviceIndex index_of(c10::Device device) {
        return device.has_index() ? device.index() : current_device();
    }
};

struct Hooks final : at::PrivateUse1HooksInterface {
    bool isBuilt() const override { return true; }
    bool isAvailable() const override { return load_failure().empty(); }
    bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
    void init() const override {}
    c10::DeviceIndex deviceCount() const override { return device_count(); }
    c10::DeviceIndex getCurrentDevice() const override { return current_device(); }
    void setCurrentDevice(c10::DeviceIndex device) const override {
        check_index(device);
        set_current_device(device);
    }
    c10::DeviceIndex exchangeDevice(c10::DeviceIndex device) const override {
        const c10::DeviceIndex before = current_device();
        setCurrentDevice(device);
        return before;
    }
    c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex device) const override {
        return exchangeDevice(device);
    }
    const at::Generator& getDefaultGenerator(c10::DeviceIndex device) const override {
        return default_generator(device);
    }
    at::Generator getNewGenerator(c10::DeviceIndex device) const override {
        return make_generator(device);
    }
    at::Allocator* getPinnedMemoryAllocator() const override { return c10::GetCPUAllocator(); }
    void resizePrivateUse1Bytes(const c10::Storage& storage, std::size_t bytes) const override {
        c10::DataPtr grown = device_memory().allocate_on(storage.device().index(), bytes);
        const std::size_t kept = std::min(bytes, storage.nbytes());
        if (kept > 0) std::memcpy(grown.get(), storage.data(), kept);
        storage.set_data_ptr_noswap(std::move(grown));
        storage.set_nbytes(bytes);
    }
};

}  // namespace

void register_guard() {
    static const c10::impl::DeviceGuardImplRegistrar registrar(kDeviceType, new Guard);
}

void register_hooks() {
    at::RegisterPrivateUse1HooksInterface(new Hooks);
}

}  // namespace ascertain::simulated
