#include "chips/simulated/generator.hpp"

#include <ATen/CPUGeneratorImpl.h>

#include <utility>
#include <vector>

namespace ascertain::simulated {
namespace {

// Everything is the host generator's; the CPU's kernels refuse one that says it is a device's.
class DeviceGenerator final : public c10::GeneratorImpl {
public:
    DeviceGenerator(c10::DeviceIndex device, at::Generator host)
        : GeneratorImpl(c10::Device(kDeviceType, device),
                        c10::DispatchKeySet(c10::DispatchKey::PrivateUse1)),
          host_(std::move(host)) {}

    void set_current_seed(std::uint64_t seed) override { host_.set_current_seed(seed); }
    void set_offset(std::uint64_t offset) override { host_.set_offset(offset); }
    std::uint64_t get_offset() const override { return host_.get_offset(); }
    std::uint64_t current_seed() const override { return host_.current_seed(); }
    std::uint64_t seed() override { return host_.seed(); }
    void set_state(const c10::TensorImpl& state) override {
        host_.unsafeGetGeneratorImpl()->set_state(state);
    }
    c10::intrusive_ptr<c10::TensorImpl> get_state() const override {
        return host_.unsafeGetGeneratorImpl()->get_state();
    }

    [[nodiscard]] const at::Generator& host() const { return host_; }

private:
    GeneratorImpl* clone_impl() const override {
        return new DeviceGenerator(device_.index(), host_.clone());
    }

    at::Generator host_;
};

}  // namespace

at::Generator make_generator(c10::DeviceIndex device) {
    const c10::DeviceIndex index = device < 0 ? current_device() : device;
    check_index(index);
    return at::make_generator<DeviceGenerator>(index, at::detail::createCPUGenerator());
}

const at::Generator& default_generator(c10::DeviceIndex device) {
    const c10::DeviceIndex index = device < 0 ? current_device() : device;
    check_index(index);
    static const auto* all = [] {
        auto* made = new std::vector<at::Generator>;
        for (c10::DeviceIndex i = 0; i < device_count(); ++i) made->push_back(make_generator(i));
        return made;
    }();
    return (*all)[static_cast<std::size_t>(index)];
}

at::Generator host_generator(const at::Generator& device_generator) {
    return device_generator.get<DeviceGenerator>()->host();
}

}  // namespace ascertain::simulated
