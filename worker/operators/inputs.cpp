#include "worker/operators/inputs.hpp"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/text.hpp"
#include "worker/operators/dtype.hpp"
#include "worker/operators/fill.hpp"

namespace ascertain::operators {
namespace {

// Operators that reach outside tensors, or that are ourselves.
bool is_forbidden(const std::string& name) {
    return name.starts_with("ascertain::") || name == "aten::from_file" ||
           name.starts_with("prim::");
}

c10::TypePtr unwrapped(c10::TypePtr type) {
    while (const auto optional = type->cast<c10::OptionalType>()) type = optional->getElementType();
    return type;
}

bool is_list_of(const c10::TypePtr& type, std::initializer_list<c10::TypeKind> kinds) {
    const auto list = type->cast<c10::ListType>();
    return list != nullptr && std::find(kinds.begin(), kinds.end(),
                                        unwrapped(list->getElementType())->kind()) != kinds.end();
}

// Whether an argument of that kind can stand where the schema asks for `type`.
bool fits(const Argument& argument, const c10::Argument& wanted) {
    const c10::TypePtr outer = wanted.real_type();
    const c10::TypePtr type = unwrapped(outer);
    const c10::TypeKind kind = type->kind();
    if (std::holds_alternative<None>(argument)) {
        return outer->kind() == c10::TypeKind::OptionalType || kind == c10::TypeKind::TensorType;
    }
    if (std::holds_alternative<TensorSpec>(argument)) return kind == c10::TypeKind::TensorType;
    if (std::holds_alternative<TensorList>(argument)) {
        return is_list_of(type, {c10::TypeKind::TensorType});
    }
    if (const auto* scalar = std::get_if<Scalar>(&argument)) {
        if (kind == c10::TypeKind::NumberType) return true;
        if (kind == c10::TypeKind::BoolType) return std::holds_alternative<bool>(*scalar);
        if (kind == c10::TypeKind::FloatType) return !std::holds_alternative<bool>(*scalar);
        return std::holds_alternative<std::int64_t>(*scalar) &&
               (kind == c10::TypeKind::IntType || kind == c10::TypeKind::SymIntType ||
                kind == c10::TypeKind::LayoutType || kind == c10::TypeKind::MemoryFormatType);
    }
    if (std::holds_alternative<Integers>(argument)) {
        return is_list_of(type, {c10::TypeKind::IntType, c10::TypeKind::SymIntType,
                                 c10::TypeKind::BoolType, c10::TypeKind::NumberType});
    }
    if (std::holds_alternative<Floats>(argument)) {
        return is_list_of(type, {c10::TypeKind::FloatType, c10::TypeKind::NumberType});
    }
    if (std::holds_alternative<c10::ScalarType>(argument)) {
        return kind == c10::TypeKind::ScalarTypeType;
    }
    if (std::holds_alternative<std::string>(argument)) return kind == c10::TypeKind::StringType;
    if (std::holds_alternative<DeviceHere>(argument)) return kind == c10::TypeKind::DeviceObjType;
    return kind == c10::TypeKind::GeneratorType;
}

std::vector<std::string> written_names(const c10::FunctionSchema& schema) {
    std::vector<std::string> names;
    for (const c10::Argument& argument : schema.arguments()) {
        if (argument.alias_info() != nullptr && argument.alias_info()->isWrite()) {
            names.push_back(argument.name());
        }
    }
    return names;
}

template <typename Visit>
void for_each_tensor(const Case& operator_case, Visit visit) {
    for (const Argument& argument : operator_case.arguments) {
        if (const auto* spec = std::get_if<TensorSpec>(&argument)) visit(*spec);
        if (const auto* list = std::get_if<TensorList>(&argument)) {
            for (const auto& item : *list) {
                if (item) visit(*item);
            }
        }
    }
}

// The storage that a tensor's memory makes, filled in the tensor's way.
at::Tensor make_storage(const TensorSpec& spec, std::int64_t length, std::uint64_t seed) {
    const auto stream = static_cast<std::uint64_t>(spec.storage);
    if (!is_structured(spec.fill))
        return make_values(spec.fill, {length}, spec.dtype, seed, stream);
    at::Tensor storage = at::zeros({length}, at::TensorOptions().dtype(spec.dtype));
    storage.as_strided(spec.shape, spec.strides, spec.storage_offset)
        .copy_(make_values(spec.fill, spec.shape, spec.dtype, seed, stream));
    return storage;
}

// 64-bit mix of 8 bytes at a time in four lanes: detects any change of one bit, fast, no security.
// Constants: the primes of xxHash64 (Collet, github.com/Cyan4973/xxHash, doc/xxhash_spec.md).
std::uint64_t mix(std::uint64_t hash, std::uint64_t word) {
    return std::rotl(hash ^ (word * 0xC2B2AE3D27D4EB4FULL), 31) * 0x9E3779B185EBCA87ULL;
}

std::uint64_t hash_bytes(const char* bytes, std::size_t size, std::uint64_t seed) {
    std::uint64_t lanes[4] = {seed, seed + 1, seed + 2, seed + 3};
    std::size_t i = 0;
    for (; i + 32 <= size; i += 32) {
        std::uint64_t words[4];
        std::memcpy(words, bytes + i, 32);
        for (int lane = 0; lane < 4; ++lane) lanes[lane] = mix(lanes[lane], words[lane]);
    }
    std::uint64_t hash = size;
    for (const std::uint64_t lane : lanes) hash = mix(hash, lane);
    for (; i < size; ++i) hash = mix(hash, static_cast<unsigned char>(bytes[i]));
    return hash;
}

// Makes stack values out of arguments, given where the memory is.
class Assembler {
public:
    Assembler(const std::vector<at::Tensor>& storages, at::Device device)
        : storages_(storages), device_(device) {}

    c10::IValue operator()(const Argument& argument, const c10::Argument& wanted) const {
        const c10::TypePtr type = unwrapped(wanted.real_type());
        if (const auto* spec = std::get_if<TensorSpec>(&argument)) return view(*spec);
        if (const auto* list = std::get_if<TensorList>(&argument)) return tensors(*list, type);
        if (const auto* scalar = std::get_if<Scalar>(&argument)) return number(*scalar, type);
        if (const auto* integers = std::get_if<Integers>(&argument)) return whole(*integers, type);
        if (const auto* floats = std::get_if<Floats>(&argument)) {
            return c10::List<double>(c10::ArrayRef<double>(*floats));
        }
        if (const auto* dtype = std::get_if<c10::ScalarType>(&argument)) {
            return static_cast<std::int64_t>(*dtype);
        }
        if (const auto* text = std::get_if<std::string>(&argument)) return *text;
        if (std::holds_alternative<DeviceHere>(argument)) return device_;
        // Absent, or the default generator, which is what torch takes for none.
        if (type->kind() == c10::TypeKind::TensorType &&
            wanted.real_type()->kind() != c10::TypeKind::OptionalType) {
            return at::Tensor();
        }
        return c10::IValue();
    }

private:
    at::Tensor view(const TensorSpec& spec) const {
        return storages_.at(static_cast<std::size_t>(spec.storage))
            .as_strided(spec.shape, spec.strides, spec.storage_offset);
    }

    c10::IValue tensors(const TensorList& list, const c10::TypePtr& type) const {
        const c10::TypePtr element = type->expectRef<c10::ListType>().getElementType();
        if (element->kind() == c10::TypeKind::OptionalType) {
            c10::List<std::optional<at::Tensor>> values;
            for (const auto& item : list) {
                values.push_back(item ? std::optional(view(*item)) : std::nullopt);
            }
            return values;
        }
        c10::List<at::Tensor> values;
        for (const auto& item : list) values.push_back(item ? view(*item) : at::Tensor());
        return values;
    }

    static c10::IValue number(const Scalar& scalar, const c10::TypePtr& type) {
        if (const bool* flag = std::get_if<bool>(&scalar)) return *flag;
        if (const auto* whole_number = std::get_if<std::int64_t>(&scalar)) {
            if (type->kind() == c10::TypeKind::FloatType) return static_cast<double>(*whole_number);
            return *whole_number;
        }
        return std::get<double>(scalar);
    }

    static c10::IValue whole(const Integers& integers, const c10::TypePtr& type) {
        if (!is_list_of(type, {c10::TypeKind::BoolType})) {
            return c10::List<std::int64_t>(c10::ArrayRef<std::int64_t>(integers));
        }
        c10::List<bool> flags;
        for (const std::int64_t integer : integers) flags.push_back(integer != 0);
        return flags;
    }

    const std::vector<at::Tensor>& storages_;
    at::Device device_;
};

Stack stack_of(const Case& operator_case, const c10::FunctionSchema& schema,
               const Assembler& assembler) {
    Stack stack;
    for (std::size_t i = 0; i < operator_case.arguments.size(); ++i) {
        stack.push_back(assembler(operator_case.arguments[i], schema.arguments()[i]));
    }
    return stack;
}

void collect(std::vector<Output>& outputs, const std::string& name, const c10::IValue& value) {
    if (value.isTensor()) {
        if (value.toTensor().defined()) outputs.push_back({name, value.toTensor()});
        return;
    }
    if (!value.isTensorList()) return;
    for (const at::Tensor& item : value.toTensorVector()) {
        if (item.defined()) outputs.push_back({fmt::format("{}[{}]", name, outputs.size()), item});
    }
}

}  // namespace

Result<c10::OperatorHandle> find_operator(const Case& operator_case) {
    const std::optional<c10::OperatorHandle> op =
        c10::Dispatcher::singleton().findSchema({operator_case.op, operator_case.overload});
    if (!op || is_forbidden(operator_case.op)) {
        return Error{
            ErrorCode::kUnsupported,
            fmt::format("this torch has no operator {}{}{} that can be replayed",
                        shortened(operator_case.op, 128), operator_case.overload.empty() ? "" : ".",
                        shortened(operator_case.overload, 128)),
            "case"};
    }
    const std::vector<c10::Argument>& wanted = op->schema().arguments();
    if (wanted.size() != operator_case.arguments.size()) {
        return Error{ErrorCode::kBadInput,
                     fmt::format("{} takes {} arguments, the case has {}", operator_case.op,
                                 wanted.size(), operator_case.arguments.size()),
                     "case: arguments"};
    }
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        if (!fits(operator_case.arguments[i], wanted[i])) {
            return Error{ErrorCode::kBadInput,
                         fmt::format("does not fit \"{}\", which is {}", wanted[i].name(),
                                     wanted[i].real_type()->str()),
                         fmt::format("case: arguments[{}]", i)};
        }
    }
    if (written_names(op->schema()) != operator_case.writes) {
        return Error{ErrorCode::kBadInput,
                     fmt::format("{} writes [{}]", operator_case.op,
                                 fmt::join(written_names(op->schema()), ", ")),
                     "case: writes"};
    }
    return *op;
}

double input_bytes(const Case& operator_case) {
    double bytes = 0.0;
    for_each_tensor(operator_case, [&](const TensorSpec& spec) {
        bytes +=
            static_cast<double>(extent(spec)) * static_cast<double>(c10::elementSize(spec.dtype));
    });
    return bytes;
}

Inputs make_inputs(const Case& operator_case, std::uint64_t seed) {
    std::vector<std::int64_t> lengths;
    std::vector<const TensorSpec*> owners;  // the first tensor that uses a storage fills it
    for_each_tensor(operator_case, [&](const TensorSpec& spec) {
        const auto index = static_cast<std::size_t>(spec.storage);
        if (index >= owners.size()) {
            owners.resize(index + 1, nullptr);
            lengths.resize(index + 1, 0);
        }
        if (owners[index] == nullptr) owners[index] = &spec;
        lengths[index] = std::max(lengths[index], extent(spec));
    });
    Inputs inputs;
    for (std::size_t i = 0; i < owners.size(); ++i) {
        inputs.storages.push_back(
            owners[i] == nullptr ? at::Tensor() : make_storage(*owners[i], lengths[i], seed));
    }
    return inputs;
}

std::string hash_of(const std::vector<at::Tensor>& tensors) {
    std::uint64_t hash = 0;
    for (const at::Tensor& tensor : tensors) {
        if (!tensor.defined()) continue;
        const at::Tensor flat = tensor.to(at::kCPU).contiguous();
        hash = hash_bytes(static_cast<const char*>(flat.const_data_ptr()), flat.nbytes(), hash);
    }
    return fmt::format("{:016x}", hash);
}

std::string hash_of(const Inputs& inputs) {
    return hash_of(inputs.storages);
}

Stack assemble_shared(const Case& operator_case, const c10::FunctionSchema& schema,
                      const Inputs& inputs) {
    return stack_of(operator_case, schema, Assembler(inputs.storages, at::kCPU));
}

Stack assemble(const Case& operator_case, const c10::FunctionSchema& schema, const Inputs& inputs,
               at::Device device) {
    std::vector<at::Tensor> storages;
    for (const at::Tensor& storage : inputs.storages) {
        storages.push_back(storage.defined()
                               ? storage.to(at::TensorOptions(device), /*non_blocking=*/false,
                                            /*copy=*/true)
                               : storage);
    }
    return stack_of(operator_case, schema, Assembler(storages, device));
}

std::vector<Output> outputs_of(const Case& operator_case, const c10::FunctionSchema& schema,
                               const Stack& before, const Stack& after) {
    std::vector<Output> outputs;
    for (std::size_t i = 0; i < after.size() && i < schema.returns().size(); ++i) {
        const c10::Argument& result = schema.returns()[i];
        if (result.alias_info() != nullptr && result.alias_info()->isWrite()) continue;
        const std::string name = result.name().empty() ? fmt::format("output{}", i) : result.name();
        collect(outputs, name, after[i]);
    }
    for (std::size_t i = 0; i < before.size(); ++i) {
        const std::string& name = schema.arguments()[i].name();
        const auto& writes = operator_case.writes;
        if (std::find(writes.begin(), writes.end(), name) == writes.end()) continue;
        collect(outputs, name, before[i]);
    }
    return outputs;
}

std::vector<Output> call(const Case& operator_case, const c10::OperatorHandle& op,
                         const Stack& stack) {
    const c10::AutoGradMode no_gradients(false);
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    torch::jit::Stack after(stack.begin(), stack.end());
    op.callBoxed(&after);
    return outputs_of(operator_case, op.schema(), stack, Stack(after.begin(), after.end()));
}

}  // namespace ascertain::operators
