#include "chips/simulated/kernels.hpp"

#include <ATen/EmptyTensor.h>
#include <ATen/SDPBackend.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/native/transformers/attention.h>
#include <ATen/ops/_fused_sdp_choice.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/set_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "chips/simulated/allocator.hpp"
#include "chips/simulated/arithmetic/run.hpp"
#include "chips/simulated/call.hpp"

namespace ascertain::simulated {
namespace {

using torch::jit::Stack;

// Other names under which the device's own kernels run.
constexpr const char* kCopy = "aten::copy_";
constexpr const char* kConvolution = "aten::convolution";
constexpr const char* kConvolutionBackward = "aten::convolution_backward";
constexpr const char* kAttention = "aten::_scaled_dot_product_flash_attention_for_cpu";
constexpr const char* kAttentionBackward =
    "aten::_scaled_dot_product_flash_attention_for_cpu_backward";

c10::OperatorHandle operator_named(const char* name) {
    return c10::Dispatcher::singleton().findSchemaOrThrow(name, "");
}

void run_host_kernel(const c10::OperatorHandle& op, Stack* stack) {
    call_on_host(op, *stack, DeviceRule::kOneDevice);
}

// Removes the last `count` values of the stack and returns them in order.
std::vector<c10::IValue> taken(Stack& stack, std::size_t count) {
    const auto first = stack.end() - static_cast<std::ptrdiff_t>(count);
    std::vector<c10::IValue> values(std::make_move_iterator(first),
                                    std::make_move_iterator(stack.end()));
    stack.erase(first, stack.end());
    return values;
}

at::Tensor empty(at::IntArrayRef size, std::optional<at::ScalarType> dtype,
                 std::optional<at::Layout>, std::optional<at::Device> device, std::optional<bool>,
                 std::optional<at::MemoryFormat> format) {
    const c10::OptionalDeviceGuard guard(device);
    return at::detail::empty_generic(size, &device_memory(),
                                     c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                     c10::dtype_or_default(dtype), format);
}

at::Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride,
                         std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                         std::optional<at::Device> device, std::optional<bool>) {
    const c10::OptionalDeviceGuard guard(device);
    return at::detail::empty_strided_generic(size, stride, &device_memory(),
                                             c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                             c10::dtype_or_default(dtype));
}

// (source, destination, non_blocking): copies in all directions.
void copy_from(const c10::OperatorHandle&, Stack* stack) {
    static const c10::OperatorHandle copy = operator_named(kCopy);
    std::swap((*stack)[stack->size() - 3], (*stack)[stack->size() - 2]);
    call_on_host(copy, *stack, DeviceRule::kAnyDevices);
}

at::Tensor copy_from_and_resize(const at::Tensor& source, const at::Tensor& destination) {
    destination.resize_(source.sizes());
    return destination.copy_(source);
}

at::Tensor& set_empty(at::Tensor& self) {
    c10::Storage none = c10::make_intrusive<c10::StorageImpl>(
        c10::StorageImpl::use_byte_size_t(), 0, device_memory().allocate_on(self.get_device(), 0),
        &device_memory(), true);
    return at::native::set_storage_cpu_(self, std::move(none), 0, {0}, {});
}

// As the CPU's, but drawn from the device's generator: the operator takes none.
std::tuple<at::Tensor, at::Tensor> native_dropout(const at::Tensor& input, double p,
                                                  std::optional<bool> train) {
    const at::AutoDispatchBelowADInplaceOrView below;
    if (input.numel() == 0) return {input, at::empty_like(input, input.options())};
    if (train && !*train) {
        return {input.clone(), at::ones_like(input, input.options().dtype(at::kBool))};
    }
    const double kept = 1.0 - p;
    const double scale = kept == 0.0 ? 0.0 : 1.0 / kept;
    const at::Tensor mask =
        at::empty(input.sizes(), input.options().dtype(at::kBool)).bernoulli_(kept);
    return {input.mul(mask).mul_(scale), mask};
}

void convolution(const c10::OperatorHandle&, Stack* stack) {
    static const c10::OperatorHandle host = operator_named(kConvolution);
    call_on_host(host, *stack, DeviceRule::kOneDevice);
}

// The general operator has the bias's size besides.
void convolution_backward(const c10::OperatorHandle&, Stack* stack) {
    static const c10::OperatorHandle host = operator_named(kConvolutionBackward);
    std::vector<c10::IValue> values = taken(*stack, 10);
    const at::Tensor& weight = values[2].toTensor();
    const bool transposed = values[6].toBool();
    const std::int64_t channels = transposed ? weight.size(1) * values[8].toInt() : weight.size(0);
    values.insert(values.begin() + 3, c10::IValue(std::vector<std::int64_t>{channels}));
    for (c10::IValue& value : values) stack->push_back(std::move(value));
    call_on_host(host, *stack, DeviceRule::kOneDevice);
}

c10::IValue optional_tensor(const c10::IValue& value) {
    return value.isTensor() && value.toTensor().defined() ? value : c10::IValue();
}

// (query, key, value, bias, dropout, causal, debug, scale) -> nine results, of which the CPU's
// kernel has two; the others belong to kernels with packed sequences and random numbers.
void attention(const c10::OperatorHandle&, Stack* stack) {
    static const c10::OperatorHandle host = operator_named(kAttention);
    const std::vector<c10::IValue> in = taken(*stack, 8);
    const std::int64_t queries = in[0].toTensor().size(2);
    const std::int64_t keys = in[1].toTensor().size(2);
    for (const c10::IValue& value :
         {in[0], in[1], in[2], in[4], in[5], optional_tensor(in[3]), in[7]}) {
        stack->push_back(value);
    }
    call_on_host(host, *stack, DeviceRule::kOneDevice);
    const at::Tensor none;
    for (const c10::IValue& value :
         {c10::IValue(none), c10::IValue(none), c10::IValue(queries), c10::IValue(keys),
          c10::IValue(none), c10::IValue(none), c10::IValue(none)}) {
        stack->push_back(value);
    }
}

// (gradient, query, key, value, bias, mask, out, logsumexp, cumulated x 2, longest x 2, dropout,
// causal, random x 2, scale).
void attention_backward(const c10::OperatorHandle&, Stack* stack) {
    static const c10::OperatorHandle host = operator_named(kAttentionBackward);
    const std::vector<c10::IValue> in = taken(*stack, 17);
    for (const c10::IValue& value : {in[0], in[1], in[2], in[3], in[6], in[7], in[12], in[13],
                                     optional_tensor(in[4]), in[16]}) {
        stack->push_back(value);
    }
    call_on_host(host, *stack, DeviceRule::kOneDevice);
    stack->push_back(at::Tensor());
}

std::int64_t choose_attention(const at::Tensor& query, const at::Tensor& key,
                              const at::Tensor& value, const std::optional<at::Tensor>& mask,
                              double dropout, bool causal, std::optional<double> scale,
                              bool grouped) {
    const bool masked = mask && mask->defined();
    constexpr auto kMath = static_cast<std::int64_t>(at::SDPBackend::math);
    if (masked && mask->requires_grad()) return kMath;
    if (arithmetic::declared().attention == arithmetic::Attention::kMath) return kMath;
    const std::int64_t choice = at::_fused_sdp_choice(
        host_alias(query), host_alias(key), host_alias(value),
        masked ? std::optional(host_alias(*mask)) : std::nullopt, dropout, causal, scale, grouped);
    return choice == static_cast<std::int64_t>(at::SDPBackend::flash_attention)
               ? static_cast<std::int64_t>(at::SDPBackend::overrideable)
               : choice;
}

std::string base_name(const c10::OperatorHandle& op) {
    return op.schema().name().substr(op.schema().name().find("::") + 2);
}

}  // namespace

void add_own_kernels(torch::Library& library) {
    library.impl("empty.memory_format", TORCH_FN(empty));
    library.impl("empty_strided", TORCH_FN(empty_strided));
    library.impl("as_strided", TORCH_FN(at::native::as_strided_tensorimpl));
    library.impl("view", TORCH_FN(at::native::view));
    library.impl("_reshape_alias", TORCH_FN(at::native::_reshape_alias));
    library.impl("native_dropout", TORCH_FN(native_dropout));
    library.impl("set_", TORCH_FN(set_empty));
    library.impl("set_.source_Tensor", TORCH_FN(at::native::set_tensor_));
    library.impl("set_.source_Storage", TORCH_FN(at::native::set_));
    library.impl("set_.source_Storage_storage_offset", TORCH_FN(at::native::set_storage_cpu_));
    library.impl("_copy_from", torch::CppFunction::makeFromBoxedFunction<&copy_from>());
    library.impl("_copy_from_and_resize", TORCH_FN(copy_from_and_resize));
    library.impl("convolution_overrideable",
                 torch::CppFunction::makeFromBoxedFunction<&convolution>());
    library.impl("convolution_backward_overrideable",
                 torch::CppFunction::makeFromBoxedFunction<&convolution_backward>());
    library.impl("_scaled_dot_product_fused_attention_overrideable",
                 torch::CppFunction::makeFromBoxedFunction<&attention>());
    library.impl("_scaled_dot_product_fused_attention_overrideable_backward",
                 torch::CppFunction::makeFromBoxedFunction<&attention_backward>());
    // Without these a copy of a conjugated tensor would resolve it by a copy, and that by another.
    for (const c10::DispatchKey key : {c10::DispatchKey::Conjugate, c10::DispatchKey::Negative}) {
        static std::vector<torch::Library>* lazy = new std::vector<torch::Library>;
        lazy->emplace_back(torch::Library::IMPL, "aten", key, __FILE__, __LINE__);
        lazy->back().impl("_copy_from", torch::CppFunction::makeFallthrough());
    }
}

std::vector<c10::OperatorHandle> host_operators() {
    std::vector<c10::OperatorHandle> found;
    for (const c10::OperatorName& name : c10::Dispatcher::singleton().getAllOpNames()) {
        // The choice of an attention kernel has a door of its own.
        if (!name.name.starts_with("aten::") || name.name == "aten::_fused_sdp_choice") continue;
        const auto op = c10::Dispatcher::singleton().findSchema(name);
        if (op && op->hasKernelForDispatchKey(c10::DispatchKey::CPU) &&
            !op->hasKernelForDispatchKey(c10::DispatchKey::PrivateUse1)) {
            found.push_back(*op);
        }
    }
    return found;
}

void add_host_kernel(torch::Library& library, const c10::OperatorHandle& op) {
    const c10::OperatorName& name = op.operator_name();
    const std::string full =
        name.overload_name.empty() ? name.name : name.name + "." + name.overload_name;
    library.impl(full.c_str(), torch::CppFunction::makeFromBoxedFunction<&run_host_kernel>());
}

std::vector<std::string> operator_names(const std::vector<c10::OperatorHandle>& operators) {
    std::set<std::string> names;
    for (const c10::OperatorHandle& op : operators) names.insert(base_name(op));
    for (const char* name :
         {kCopy, kConvolution, kConvolutionBackward, kAttention, kAttentionBackward}) {
        names.insert(base_name(operator_named(name)));
    }
    return {names.begin(), names.end()};
}

void add_fallback(torch::Library& library) {
    library.fallback(torch::CppFunction::makeFromBoxedFunction<&run_host_kernel>());
}

void choose_attention_as_on_the_cpu() {
    at::native::_fused_sdp_choice_stub.set_privateuse1_dispatch_ptr(&choose_attention);
}

}  // namespace ascertain::simulated
