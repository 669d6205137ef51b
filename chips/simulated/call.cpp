#include "chips/simulated/call.hpp"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/List.h>
#include <ATen/ops/zeros.h>
#include <c10/core/CPUAllocator.h>
#include <c10/util/SmallVector.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "chips/simulated/allocator.hpp"
#include "chips/simulated/arithmetic/run.hpp"
#include "chips/simulated/defects/engine.hpp"
#include "chips/simulated/generator.hpp"
#include "chips/simulated/streams.hpp"

namespace ascertain::simulated {
namespace {

constexpr c10::DispatchKeySet kHostKeys(c10::DispatchKey::CPU);
constexpr c10::DispatchKeySet kDeviceKeys(c10::DispatchKey::PrivateUse1);

void keep(void*) {}

// The same bytes under the CPU's name. Resizable, as kernels with `out` arguments ask.
c10::Storage host_storage(const c10::Storage& device) {
    return c10::make_intrusive<c10::StorageImpl>(
        c10::StorageImpl::use_byte_size_t(), device.nbytes(),
        c10::DataPtr(device.unsafeGetStorageImpl()->mutable_data(), nullptr, &keep, at::kCPU),
        c10::GetCPUAllocator(), true);
}

c10::Storage device_storage(c10::DeviceIndex device, const c10::Storage& host) {
    return c10::make_intrusive<c10::StorageImpl>(c10::StorageImpl::use_byte_size_t(), host.nbytes(),
                                                 device_memory().adopt(device, host),
                                                 &device_memory(), true);
}

void copy_geometry(const at::Tensor& from, const at::Tensor& to) {
    to.unsafeGetTensorImpl()->set_sizes_and_strides(from.sizes(), from.strides(),
                                                    from.storage_offset());
}

// The tensor `like`, over another storage.
at::Tensor over(c10::Storage storage, c10::DispatchKeySet keys, const at::Tensor& like) {
    at::Tensor made =
        at::detail::make_tensor<c10::TensorImpl>(std::move(storage), keys, like.dtype());
    copy_geometry(like, made);
    if (like.is_conj()) made._set_conj(true);
    if (like.is_neg()) made._set_neg(true);
    if (like.unsafeGetTensorImpl()->is_wrapped_number()) {
        made.unsafeGetTensorImpl()->set_wrapped_number(true);
    }
    return made;
}

bool same_geometry(const at::Tensor& a, const at::Tensor& b) {
    return a.sizes() == b.sizes() && a.strides() == b.strides() &&
           a.storage_offset() == b.storage_offset();
}

// Operators whose index arguments may lie on the CPU, as with torch's own devices.
bool takes_host_indices(std::string_view name) {
    return name.find("index") != std::string_view::npos;
}

class HostCall {
public:
    HostCall(const c10::OperatorHandle& op, torch::jit::Stack& stack, DeviceRule rule)
        : op_(op), stack_(stack), rule_(rule) {
        const std::size_t count = op.schema().arguments().size();
        const std::size_t first = stack.size() - count;
        for (std::size_t i = first; i < stack.size(); ++i) note_device(stack[i]);
        for (std::size_t i = first; i < stack.size(); ++i) to_host(stack[i]);
        if (device_) draw_from_device(first);
    }

    // The index of the device, or -1 where no argument says.
    [[nodiscard]] std::int64_t device() const { return device_ ? *device_ : -1; }

    void run() { arithmetic::run(op_, stack_); }

    // Written arguments get the memory and shape that the kernel gave them, results their device.
    void finish() {
        for (Alias& alias : storages_) {
            if (alias.host.data() != alias.data || alias.host.nbytes() != alias.bytes) grow(alias);
        }
        for (const Pair& pair : tensors_) {
            if (!same_geometry(pair.host, pair.device)) copy_geometry(pair.host, pair.device);
        }
        const std::size_t count = op_.schema().returns().size();
        for (std::size_t i = stack_.size() - count; i < stack_.size(); ++i) to_device(stack_[i]);
    }

private:
    struct Alias {
        c10::Storage device;
        c10::Storage host;
        const void* data;
        std::size_t bytes;
    };
    struct Pair {
        at::Tensor device;
        at::Tensor host;
    };

    void note_device(c10::Device device) {
        if (device.type() != kDeviceType) return;
        if (!device_) {
            device_ = device.has_index() ? device.index() : current_device();
            check_index(*device_);
        } else if (device.has_index() && device.index() != *device_ &&
                   rule_ == DeviceRule::kOneDevice) {
            refuse(c10::Device(kDeviceType, *device_), device);
        }
    }
    void note_device(const at::Tensor& tensor) {
        if (tensor.defined()) note_device(tensor.device());
    }
    void note_device(const c10::IValue& value) {
        if (value.isTensor()) {
            note_device(value.toTensor());
        } else if (value.isTensorList()) {
            for (const at::Tensor& tensor : value.toTensorVector()) note_device(tensor);
        } else if (value.isOptionalTensorList()) {
            for (const std::optional<at::Tensor>& tensor : value.toOptionalTensorVector()) {
                if (tensor) note_device(*tensor);
            }
        } else if (value.isDevice()) {
            results_stay_on_host_ = value.toDevice().is_cpu();
            note_device(value.toDevice());
        }
    }

    void to_host(c10::IValue& value) {
        if (value.isTensor()) {
            value = aliased(value.toTensor(), false);
        } else if (value.isTensorList()) {
            c10::List<at::Tensor> list;
            for (const at::Tensor& tensor : value.toTensorVector()) {
                list.push_back(aliased(tensor, false));
            }
            value = std::move(list);
        } else if (value.isOptionalTensorList()) {
            c10::List<std::optional<at::Tensor>> list;
            for (const std::optional<at::Tensor>& tensor : value.toOptionalTensorVector()) {
                list.push_back(tensor ? std::optional(aliased(*tensor, true)) : std::nullopt);
            }
            value = std::move(list);
        } else if (value.isDevice()) {
            value = c10::Device(at::kCPU);
        } else if (value.isGenerator() && value.toGenerator().device().type() == kDeviceType) {
            value = host_generator(value.toGenerator());
        }
    }

    // Whoever names no generator draws from the device's own.
    void draw_from_device(std::size_t first) {
        const auto& schema = op_.schema().arguments();
        for (std::size_t i = 0; i < schema.size(); ++i) {
            c10::IValue& value = stack_[first + i];
            if (value.isNone() && schema[i].name() == "generator") {
                value = host_generator(default_generator(*device_));
            }
        }
    }

    at::Tensor aliased(const at::Tensor& tensor, bool is_index) {
        if (!tensor.defined()) return tensor;
        if (tensor.device().type() != kDeviceType) {
            const bool allowed =
                rule_ == DeviceRule::kAnyDevices || !device_ || tensor.dim() == 0 || is_index ||
                (takes_host_indices(op_.schema().name()) && tensor.scalar_type() == at::kLong);
            if (!allowed) refuse(c10::Device(kDeviceType, *device_), tensor.device());
            return tensor;
        }
        for (const Pair& pair : tensors_) {
            if (pair.device.is_same(tensor)) return pair.host;
        }
        at::Tensor host = over(alias_of(tensor.storage()), kHostKeys, tensor);
        tensors_.push_back({tensor, host});
        return host;
    }

    const c10::Storage& alias_of(const c10::Storage& device) {
        for (const Alias& alias : storages_) {
            if (alias.device.is_alias_of(device)) return alias.host;
        }
        c10::Storage host = host_storage(device);
        storages_.push_back({device, host, host.data(), host.nbytes()});
        return storages_.back().host;
    }

    void grow(Alias& alias) {
        c10::StorageImpl* storage = alias.device.unsafeGetStorageImpl();
        c10::DataPtr grown =
            device_memory().allocate_on(alias.device.device().index(), alias.host.nbytes());
        if (alias.host.nbytes() > 0) {
            std::memcpy(grown.get(), alias.host.data(), alias.host.nbytes());
        }
        storage->set_data_ptr_noswap(std::move(grown));
        storage->set_nbytes(alias.host.nbytes());
    }

    void to_device(c10::IValue& value) {
        if (value.isTensor()) {
            value = result(value.toTensor());
        } else if (value.isTensorList()) {
            c10::List<at::Tensor> list;
            for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(result(tensor));
            value = std::move(list);
        }
    }

    at::Tensor result(const at::Tensor& host) {
        if (!host.defined()) return host;
        for (const Pair& pair : tensors_) {
            if (pair.host.is_same(host)) return pair.device;
        }
        if (results_stay_on_host_ || rule_ == DeviceRule::kAnyDevices) return host;
        TORCH_CHECK_NOT_IMPLEMENTED(host.layout() == at::kStrided, op_.schema().name(),
                                    ": the simulated device has no tensors of layout ",
                                    host.layout());
        if (host._is_zerotensor()) return result(at::zeros(host.sizes(), host.dtype()));
        for (const Alias& alias : storages_) {
            if (alias.host.is_alias_of(host.storage())) {
                return over(alias.device, kDeviceKeys, host);
            }
        }
        const c10::Storage made =
            device_storage(device_.value_or(current_device()), host.storage());
        storages_.push_back({made, host.storage(), host.storage().data(), host.storage().nbytes()});
        return over(made, kDeviceKeys, host);
    }

    [[noreturn]] void refuse(c10::Device one, c10::Device other) const {
        TORCH_CHECK(false,
                    "Expected all tensors to be on the same device, but found at least two "
                    "devices, ",
                    one, " and ", other, "! (", op_.schema().name(), ")");
        std::abort();
    }

    const c10::OperatorHandle& op_;
    torch::jit::Stack& stack_;
    DeviceRule rule_;
    std::optional<c10::DeviceIndex> device_;
    bool results_stay_on_host_ = false;
    // Few calls have more; making room for them on the heap would cost as much as the aliases.
    c10::SmallVector<Alias, 6> storages_;
    c10::SmallVector<Pair, 6> tensors_;
};

void call_now(const c10::OperatorHandle& op, torch::jit::Stack& stack, DeviceRule rule) {
    const at::AutoDispatchBelowADInplaceOrView below;
    HostCall call(op, stack, rule);
    if (!defects::armed()) {
        call.run();
    } else {
        // Copies between devices and the host, and numbers read from the device, wait for it.
        if (rule == DeviceRule::kAnyDevices || op.schema().name() == "aten::_local_scalar_dense") {
            defects::synchronised(call.device() < 0 ? current_device()
                                                    : static_cast<c10::DeviceIndex>(call.device()));
        }
        defects::run_with_defects(op, stack, call.device(), [&] { call.run(); });
    }
    call.finish();
}

// Operators that only write an argument whose shape they do not change, so that what they return is
// known before they have run.
constexpr std::array<std::string_view, 24> kReturnEarly{
    "aten::add_",  "aten::addcdiv_",     "aten::addcmul_", "aten::clamp_", "aten::copy_",
    "aten::cos_",  "aten::div_",         "aten::exp_",     "aten::fill_",  "aten::lerp_",
    "aten::log_",  "aten::masked_fill_", "aten::mul_",     "aten::neg_",   "aten::pow_",
    "aten::relu_", "aten::rsqrt_",       "aten::sigmoid_", "aten::silu_",  "aten::sin_",
    "aten::sqrt_", "aten::sub_",         "aten::tanh_",    "aten::zero_"};

std::optional<c10::Stream> stream_of_call(const c10::OperatorHandle& op,
                                          const torch::jit::Stack& stack) {
    const std::size_t count = op.schema().arguments().size();
    for (std::size_t i = stack.size() - count; i < stack.size(); ++i) {
        if (!stack[i].isTensor() || !stack[i].toTensor().defined()) continue;
        const c10::Device device = stack[i].toTensor().device();
        if (device.type() == kDeviceType) return queued_stream(device.index());
    }
    return std::nullopt;
}

// A copy from or to the host may be late only where the caller said so.
bool may_return_early(const c10::OperatorHandle& op, std::span<const c10::IValue> arguments) {
    if (std::ranges::find(kReturnEarly, op.schema().name()) == kReturnEarly.end()) return false;
    if (op.schema().name() != "aten::copy_") return true;
    const bool between = arguments[0].toTensor().device().type() == kDeviceType &&
                         arguments[1].toTensor().device().type() == kDeviceType;
    return between || arguments[2].toBool();
}

// Done in its turn on the stream's thread. What only writes returns at once; the arguments live
// until it is done. What makes something new is waited for.
void call_on_stream(const c10::Stream& stream, const c10::OperatorHandle& op,
                    torch::jit::Stack& stack, DeviceRule rule) {
    const std::size_t count = op.schema().arguments().size();
    if (!may_return_early(op, {&stack[stack.size() - count], count})) {
        return enqueue_and_wait(stream, [&] { call_now(op, stack, rule); });
    }
    auto own = std::make_shared<torch::jit::Stack>(torch::jit::pop(stack, count));
    stack.push_back(own->front());
    enqueue(stream, [op, own, rule] { call_now(op, *own, rule); });
}

}  // namespace

at::Tensor host_alias(const at::Tensor& device_tensor) {
    return over(host_storage(device_tensor.storage()), kHostKeys, device_tensor);
}

void call_on_host(const c10::OperatorHandle& op, torch::jit::Stack& stack, DeviceRule rule) {
    TORCH_CHECK(load_failure().empty(), load_failure());
    if (streams_in_use()) {
        if (const std::optional<c10::Stream> stream = stream_of_call(op, stack)) {
            return call_on_stream(*stream, op, stack, rule);
        }
    }
    call_now(op, stack, rule);
}

}  // namespace ascertain::simulated
