// Loading the simulated device: everything it registers with torch, in order, in one place.
#include <c10/core/DeviceType.h>
#include <torch/library.h>

#include <mutex>
#include <string>

#include "chips/simulated/allocator.hpp"
#include "chips/simulated/arithmetic/run.hpp"
#include "chips/simulated/defects/engine.hpp"
#include "chips/simulated/device.hpp"
#include "chips/simulated/generator.hpp"
#include "chips/simulated/guard.hpp"
#include "chips/simulated/kernels.hpp"
#include "worker/host/torch.hpp"

namespace ascertain::simulated {
namespace {

// Defects come before the kernels: an operator that is to fall back gets none.
void register_kernels() {
    static auto* own = new torch::Library(torch::Library::IMPL, "aten",
                                          c10::DispatchKey::PrivateUse1, __FILE__, __LINE__);
    static auto* all = new torch::Library(torch::Library::IMPL, "_", c10::DispatchKey::PrivateUse1,
                                          __FILE__, __LINE__);
    add_own_kernels(*own);
    const std::vector<c10::OperatorHandle> operators = host_operators();
    if (load_failure().empty()) {
        load_failure() = defects::arm_from_environment(operator_names(operators));
    }
    for (const c10::OperatorHandle& op : operators) {
        if (!defects::falls_back(op)) add_host_kernel(*own, op);
    }
    add_fallback(*all);
    choose_attention_as_on_the_cpu();
}

// dlopen runs this; there is no other moment at which a plug-in could act.
const bool loaded = [] {
    load_failure() = read_device_count();
    if (load_failure().empty()) load_failure() = arithmetic::declare_from_environment();
    c10::register_privateuse1_backend("simulated");
    c10::SetAllocator(kDeviceType, &device_memory());
    register_guard();
    register_hooks();
    register_kernels();
    return true;
}();

}  // namespace
}  // namespace ascertain::simulated

// Why the plug-in must not be used, or null: a host that loads it should ask.
extern "C" __attribute__((visibility("default"))) const char* ascertain_plugin_failure() {
    const std::string& message = ascertain::simulated::load_failure();
    return message.empty() ? nullptr : message.c_str();
}

// For torch's Python side, whose manual_seed knows no generators of devices from outside.
TORCH_LIBRARY(ascertain_simulated, library) {
    library.def("manual_seed_all(int seed) -> ()", [](std::int64_t seed) {
        using namespace ascertain::simulated;
        for (c10::DeviceIndex device = 0; device < device_count(); ++device) {
            at::Generator generator = default_generator(device);
            const std::scoped_lock lock(generator.mutex());
            generator.set_current_seed(static_cast<std::uint64_t>(seed));
        }
    });
}

// What arithmetic the chip declares, as JSON, or null where it is the CPU's: told before any run.
extern "C" __attribute__((visibility("default"))) const char* ascertain_plugin_arithmetic() {
    using namespace ascertain::simulated::arithmetic;
    if (declared().id.empty()) return nullptr;
    static const std::string text = to_json(declared()).dump();
    return text.c_str();
}
