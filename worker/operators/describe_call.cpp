#include "worker/operators/describe_call.hpp"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "worker/operators/dtype.hpp"
#include "worker/operators/family.hpp"
#include "worker/operators/fill.hpp"

namespace ascertain::operators {
namespace {

// An offset matters through alignment alone: multiples of this many elements are dropped.
constexpr std::int64_t kAlignment = 64;
// Elements that an elementwise case, or one tensor list, keeps.
constexpr std::int64_t kElementsMax = std::int64_t{1} << 23;

Error cannot(std::string reason) {
    return {ErrorCode::kUnsupported, std::move(reason), ""};
}

c10::TypeKind kind_of(const c10::Argument& argument) {
    c10::TypePtr type = argument.real_type();
    while (const auto optional = type->cast<c10::OptionalType>()) type = optional->getElementType();
    return type->kind();
}

// Operators whose first argument is written without being read: it holds whatever was there.
bool overwrites_first(const std::string& op) {
    return op == "aten::copy_" || op == "aten::fill_" || op == "aten::zero_";
}

bool takes_tensors_in_parallel(const std::string& op) {
    return op.starts_with("aten::_foreach_") || op.starts_with("aten::_fused_");
}

// Which members of parallel lists stay: the first of each shape, while they are not too many
// elements, but at least one; and how many rows of a single one that is too large.
struct ListCut {
    std::vector<std::size_t> kept;
    std::size_t from = 0;
    std::int64_t rows_from = 0;
    std::int64_t rows_to = 0;  // 0: all rows stay
};

ListCut cut_of(const std::vector<at::Tensor>& list) {
    ListCut cut;
    cut.from = list.size();
    std::set<std::pair<std::vector<std::int64_t>, c10::ScalarType>> shapes;
    std::int64_t elements = 0;
    for (std::size_t i = 0; i < list.size(); ++i) {
        if (!shapes.emplace(list[i].sizes().vec(), list[i].scalar_type()).second) continue;
        if (elements + list[i].numel() > kElementsMax) continue;
        elements += list[i].numel();
        cut.kept.push_back(i);
    }
    if (cut.kept.empty() && !list.empty()) {
        cut.kept.push_back(0);
        cut.rows_from = list[0].size(0);
        cut.rows_to = std::max<std::int64_t>(1, kElementsMax * cut.rows_from / list[0].numel());
    }
    return cut;
}

class Describer {
public:
    explicit Describer(const c10::FunctionSchema& schema) : schema_(schema) {}

    Result<Case> describe(c10::ArrayRef<const c10::IValue> inputs) {
        result_.op = schema_.name();
        result_.overload = schema_.overload_name();
        if (takes_tensors_in_parallel(schema_.name())) {
            choose_cut(inputs);
        } else if (is_rowwise(family_of(schema_.name()))) {
            choose_rows(inputs);
        }
        for (std::size_t i = 0; i < inputs.size() && i < schema_.arguments().size(); ++i) {
            overwritten_ = i == 0 && overwrites_first(schema_.name());
            Result<Argument> argument = describe_one(inputs[i], schema_.arguments()[i]);
            if (!argument) {
                Error error = argument.error();
                error.message = fmt::format("{}: {}", schema_.arguments()[i].name(), error.message);
                return error;
            }
            result_.arguments.push_back(std::move(*argument));
        }
        for (const c10::Argument& argument : schema_.arguments()) {
            if (argument.alias_info() != nullptr && argument.alias_info()->isWrite()) {
                result_.writes.push_back(argument.name());
            }
        }
        place_storages();
        return result_;
    }

private:
    void choose_cut(c10::ArrayRef<const c10::IValue> inputs) {
        for (const c10::IValue& input : inputs) {
            if (!input.isTensorList() || input.toTensorVector().empty()) continue;
            cut_ = cut_of(input.toTensorVector());
            if (cut_->kept.size() < cut_->from) {
                result_.cuts.push_back({"tensors", static_cast<std::int64_t>(cut_->from),
                                        static_cast<std::int64_t>(cut_->kept.size())});
            }
            if (cut_->rows_to > 0) {
                result_.cuts.push_back({"rows", cut_->rows_from, cut_->rows_to});
            }
            return;
        }
    }

    // Elementwise calls are cut to so many rows of their largest tensor.
    void choose_rows(c10::ArrayRef<const c10::IValue> inputs) {
        at::Tensor largest;
        for (const c10::IValue& input : inputs) {
            if (!input.isTensor() || !input.toTensor().defined()) continue;
            if (!largest.defined() || input.toTensor().numel() > largest.numel()) {
                largest = input.toTensor();
            }
        }
        if (!largest.defined() || largest.dim() == 0 || largest.numel() <= kElementsMax) return;
        rows_dimensions_ = largest.dim();
        rows_from_ = largest.size(0);
        rows_to_ = std::max<std::int64_t>(1, kElementsMax * rows_from_ / largest.numel());
        result_.cuts.push_back({"rows", rows_from_, rows_to_});
    }

    at::Tensor cut_rows(const at::Tensor& tensor) const {
        const bool cut = rows_to_ > 0 && tensor.defined() && tensor.dim() == rows_dimensions_ &&
                         tensor.size(0) == rows_from_;
        return cut ? tensor.narrow(0, 0, rows_to_) : tensor;
    }

    Result<Argument> describe_one(const c10::IValue& value, const c10::Argument& wanted) {
        const c10::TypeKind kind = kind_of(wanted);
        if (value.isNone()) return Argument(None{});
        if (value.isTensor()) return describe_tensor(cut_rows(value.toTensor()));
        if (value.isTensorList()) return describe_list(value.toTensorVector());
        if (value.isOptionalTensorList()) {
            std::vector<at::Tensor> list;
            for (const std::optional<at::Tensor>& item : value.toOptionalTensorVector()) {
                list.push_back(item.value_or(at::Tensor()));
            }
            return describe_list(list);
        }
        if (kind == c10::TypeKind::ScalarTypeType && value.isInt()) {
            const auto dtype = static_cast<c10::ScalarType>(value.toInt());
            if (name_of(dtype).empty()) return cannot("a dtype that cases do not know");
            return Argument(dtype);
        }
        if (value.isBool()) return Argument(Scalar(value.toBool()));
        if (value.isInt()) return Argument(Scalar(value.toInt()));
        if (value.isSymInt())
            return Argument(Scalar(value.toSymInt().guard_int(__FILE__, __LINE__)));
        if (value.isDouble()) return Argument(Scalar(value.toDouble()));
        if (value.isIntList()) return Argument(Integers(value.toIntVector()));
        if (value.isDoubleList()) return Argument(Floats(value.toDoubleVector()));
        if (value.isBoolList()) {
            Integers flags;
            for (const bool flag : value.toBoolList()) flags.push_back(flag ? 1 : 0);
            return Argument(flags);
        }
        if (value.isString()) return Argument(value.toStringRef());
        if (value.isDevice()) return Argument(DeviceHere{});
        if (value.isGenerator()) return Argument(GeneratorHere{});
        return describe_items(value);
    }

    // Lists of symbolic integers and of scalars come as lists of anything.
    static Result<Argument> describe_items(const c10::IValue& value) {
        if (!value.isList()) return cannot("an argument that cases cannot describe");
        Integers whole;
        Floats real;
        for (const c10::IValue& item : value.toListRef()) {
            if (item.isInt() || item.isSymInt()) {
                whole.push_back(item.isInt() ? item.toInt()
                                             : item.toSymInt().guard_int(__FILE__, __LINE__));
            } else if (item.isDouble()) {
                real.push_back(item.toDouble());
            } else {
                return cannot("a list that cases cannot describe");
            }
        }
        if (!whole.empty() && !real.empty()) return cannot("a list of mixed numbers");
        return real.empty() ? Argument(whole) : Argument(real);
    }

    Result<Argument> describe_list(const std::vector<at::Tensor>& all) {
        TensorList list;
        const bool cut = cut_ && all.size() == cut_->from;
        for (std::size_t i = 0; i < all.size(); ++i) {
            if (cut && std::find(cut_->kept.begin(), cut_->kept.end(), i) == cut_->kept.end()) {
                continue;
            }
            if (!all[i].defined()) {
                list.emplace_back();
                continue;
            }
            const bool fewer_rows =
                cut && cut_->rows_to > 0 && all[i].dim() > 0 && all[i].size(0) == cut_->rows_from;
            Result<Argument> item =
                describe_tensor(fewer_rows ? all[i].narrow(0, 0, cut_->rows_to) : all[i]);
            if (!item) return item.error();
            list.push_back(std::get<TensorSpec>(*item));
        }
        return Argument(std::move(list));
    }

    Result<Argument> describe_tensor(const at::Tensor& tensor) {
        if (!tensor.defined()) return Argument(None{});
        if (tensor.layout() != at::kStrided) return cannot("a tensor that is not strided");
        if (name_of(tensor.scalar_type()).empty()) {
            return cannot(fmt::format("a tensor of dtype {}", c10::toString(tensor.scalar_type())));
        }
        TensorSpec spec;
        spec.dtype = tensor.scalar_type();
        spec.shape = tensor.sizes().vec();
        spec.strides = tensor.strides().vec();
        spec.storage_offset = tensor.storage_offset();
        const auto memory = std::pair(tensor.storage().unsafeGetStorageImpl(), spec.dtype);
        const auto known = storages_.emplace(memory, static_cast<std::int64_t>(storages_.size()));
        spec.storage = known.first->second;
        spec.fill = overwritten_ ? Fill{FillFamily::kConstant} : infer_fill(tensor.detach());
        return Argument(std::move(spec));
    }

    // Moves every group of views to the front of its storage, keeping their distances.
    void place_storages() {
        std::vector<std::int64_t> first(storages_.size(), INT64_MAX);
        const auto each = [&](auto&& visit) {
            for (Argument& argument : result_.arguments) {
                if (auto* spec = std::get_if<TensorSpec>(&argument)) visit(*spec);
                if (auto* list = std::get_if<TensorList>(&argument)) {
                    for (auto& item : *list) {
                        if (item) visit(*item);
                    }
                }
            }
        };
        each([&](TensorSpec& spec) {
            std::int64_t& lowest = first[static_cast<std::size_t>(spec.storage)];
            lowest = std::min(lowest, spec.storage_offset);
        });
        each([&](TensorSpec& spec) {
            const std::int64_t lowest = first[static_cast<std::size_t>(spec.storage)];
            spec.storage_offset -= lowest / kAlignment * kAlignment;
        });
    }

    const c10::FunctionSchema& schema_;
    Case result_;
    std::optional<ListCut> cut_;
    std::int64_t rows_dimensions_ = 0;
    std::int64_t rows_from_ = 0;
    std::int64_t rows_to_ = 0;  // 0: all rows stay
    bool overwritten_ = false;  // what the tensor at hand held does not matter
    std::map<std::pair<c10::StorageImpl*, c10::ScalarType>, std::int64_t> storages_;
};

void append_key(std::string& key, const at::Tensor& tensor) {
    if (!tensor.defined()) {
        key += "-;";
        return;
    }
    fmt::format_to(std::back_inserter(key), "{}[{}]({})+{};",
                   static_cast<int>(tensor.scalar_type()), fmt::join(tensor.sizes(), ","),
                   fmt::join(tensor.strides(), ","), tensor.storage_offset() % kAlignment);
}

// Rows of a matrix that may have more dimensions in front.
std::int64_t leading_rows(const at::Tensor& tensor) {
    return tensor.size(-1) == 0 ? 0 : tensor.numel() / tensor.size(-1);
}

}  // namespace

std::string call_key(const c10::FunctionSchema& schema, c10::ArrayRef<const c10::IValue> inputs) {
    std::string key = schema.name() + "." + schema.overload_name() + ":";
    for (const c10::IValue& value : inputs) {
        if (value.isTensor()) {
            append_key(key, value.toTensor());
        } else if (value.isTensorList()) {
            for (const at::Tensor& item : value.toTensorVector()) append_key(key, item);
            key += "|";
        } else if (value.isOptionalTensorList()) {
            for (const auto& item : value.toOptionalTensorVector()) {
                append_key(key, item.value_or(at::Tensor()));
            }
            key += "|";
        } else if (value.isDouble()) {
            fmt::format_to(std::back_inserter(key), "{};", value.toDouble());
        } else if (value.isInt()) {
            fmt::format_to(std::back_inserter(key), "{};", value.toInt());
        } else if (value.isBool()) {
            key += value.toBool() ? "t;" : "f;";
        } else if (value.isIntList()) {
            fmt::format_to(std::back_inserter(key), "{};", fmt::join(value.toIntVector(), ","));
        } else {
            key += value.tagKind();
            key += value.isString() ? value.toStringRef() + ";" : ";";
        }
    }
    return key;
}

Result<Case> describe_call(const c10::FunctionSchema& schema,
                           c10::ArrayRef<const c10::IValue> inputs) {
    if (inputs.size() != schema.arguments().size()) return cannot("arguments were left out");
    return Describer(schema).describe(inputs);
}

std::optional<Gemm> gemm_of(const c10::FunctionSchema& schema,
                            c10::ArrayRef<const c10::IValue> inputs) {
    const std::string& op = schema.name();
    const auto tensor = [&](std::size_t i) {
        return i < inputs.size() && inputs[i].isTensor() ? inputs[i].toTensor() : at::Tensor();
    };
    const bool biased_first = op == "aten::addmm" || op == "aten::baddbmm";
    const at::Tensor left = tensor(biased_first ? 1 : 0);
    const at::Tensor right = tensor(biased_first ? 2 : 1);
    if (!left.defined() || !right.defined() || left.dim() < 1 || right.dim() < 1)
        return std::nullopt;
    if (op == "aten::linear") {
        return Gemm{leading_rows(left), right.size(0), left.size(-1), 1};
    }
    if (op == "aten::mm" || op == "aten::addmm") {
        return Gemm{left.size(0), right.size(1), left.size(1), 1};
    }
    if (op == "aten::bmm" || op == "aten::baddbmm") {
        return Gemm{left.size(1), right.size(2), left.size(2), left.size(0)};
    }
    if (op != "aten::_grouped_mm") return std::nullopt;
    const at::Tensor ends = tensor(2);
    const std::int64_t groups = ends.defined() ? ends.numel() : left.size(0);
    return Gemm{left.size(-2), right.size(-1), left.size(-1), groups};
}

bool computes(const c10::FunctionSchema& schema) {
    static constexpr std::array<std::string_view, 21> kAllocations = {
        "aten::empty",
        "aten::empty_like",
        "aten::empty_strided",
        "aten::new_empty",
        "aten::new_empty_strided",
        "aten::resize_",
        "aten::resize_as_",
        "aten::set_",
        "aten::_local_scalar_dense",
        "aten::item",
        "aten::is_nonzero",
        "aten::_fused_sdp_choice",
        "aten::is_same_size",
        "aten::record_stream",
        "aten::lift",
        "aten::result_type",
        "aten::_unsafe_view",
        "aten::_reshape_alias",
        "aten::is_set_to",
        "aten::_has_same_storage_numel",
        "aten::equal"};
    if (std::find(kAllocations.begin(), kAllocations.end(), schema.name()) != kAllocations.end()) {
        return false;
    }
    return std::none_of(schema.returns().begin(), schema.returns().end(), [](const auto& result) {
        return result.alias_info() != nullptr && !result.alias_info()->isWrite();
    });
}

}  // namespace ascertain::operators
