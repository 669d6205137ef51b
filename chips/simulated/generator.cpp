#include "chips/simulated/generator.hpp"

#include <vector>

namespace ascertain::simulated {
namespace {

class DeviceGenerator final : public at::CPUGeneratorImpl {
public:
    explicit DeviceGenerator(c10::DeviceIndex device) {
        device_ = c10::Device(kDeviceType, device);
        key_set_ = c10::DispatchKeySet(c10::DispatchKey::PrivateUse1);
    }

private:
    // The inherited one makes a generator of the CPU.
    at::CPUGeneratorImpl* clone_impl() const override {
        auto* copy = new DeviceGenerator(device_.index());
        copy->set_state(*get_state());
        return copy;
    }
};

}  // namespace

at::Generator make_generator(c10::DeviceIndex device) {
    const c10::DeviceIndex index = device < 0 ? current_device() : device;
    check_index(index);
    return at::make_generator<DeviceGenerator>(index);
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

}  // namespace ascertain::simulated
