#include "measure/checks/cases.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace ascertain::checks {
namespace {

struct Tensor {
    std::string dtype;
    std::vector<std::int64_t> shape;

    [[nodiscard]] double elements() const {
        double product = 1.0;
        for (const std::int64_t size : shape) product *= static_cast<double>(size);
        return product;
    }
};

std::string text_or_empty(const Json& object, std::string_view key) {
    if (!object.is_object()) return {};
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<Tensor> tensor_from(const Json& description) {
    if (!description.is_object()) return std::nullopt;
    const auto shape = description.find("shape");
    if (shape == description.end() || !shape->is_array()) return std::nullopt;
    Tensor tensor{.dtype = text_or_empty(description, "dtype"), .shape = {}};
    for (const Json& size : *shape) {
        if (!size.is_number_integer()) return std::nullopt;
        tensor.shape.push_back(size.get<std::int64_t>());
    }
    return tensor;
}

void append_tensors(const Json& argument, std::vector<Tensor>& tensors) {
    if (!argument.is_object()) return;
    if (const auto one = argument.find("tensor"); one != argument.end()) {
        if (auto tensor = tensor_from(*one)) tensors.push_back(*std::move(tensor));
    }
    const auto many = argument.find("tensors");
    if (many == argument.end() || !many->is_array()) return;
    for (const Json& entry : *many) {
        const bool wrapped = entry.is_object() && entry.contains("tensor");
        if (auto tensor = tensor_from(wrapped ? entry["tensor"] : entry)) {
            tensors.push_back(*std::move(tensor));
        }
    }
}

std::vector<Tensor> tensors_of(const Json& operator_case) {
    std::vector<Tensor> tensors;
    if (!operator_case.is_object()) return tensors;
    const auto arguments = operator_case.find("arguments");
    if (arguments == operator_case.end() || !arguments->is_array()) return tensors;
    for (const Json& argument : *arguments) append_tensors(argument, tensors);
    return tensors;
}

double bytes_per_element(std::string_view dtype) {
    if (dtype == "fp64" || dtype == "int64") return 8.0;
    if (dtype == "fp32" || dtype == "int32") return 4.0;
    if (dtype == "bf16" || dtype == "fp16" || dtype == "int16") return 2.0;
    return 1.0;
}

std::optional<Gemm> product(const Tensor& left, const Tensor& right, bool right_transposed) {
    const std::size_t ranks = std::min(left.shape.size(), right.shape.size());
    if (ranks < 2 || right.shape.size() > 3) return std::nullopt;
    const bool batched = right.shape.size() == 3;
    if (batched && (left.shape.size() != 3 || left.shape[0] != right.shape[0])) return std::nullopt;
    const std::size_t last = right.shape.size() - 1;
    Gemm gemm{.k = left.shape.back(), .dtype = left.dtype};
    gemm.n = right.shape[right_transposed ? last - 1 : last];
    if (right.shape[right_transposed ? last : last - 1] != gemm.k) return std::nullopt;
    gemm.batch = batched ? right.shape[0] : 1;
    gemm.m = 1;
    for (std::size_t i = batched ? 1 : 0; i + 1 < left.shape.size(); ++i) gemm.m *= left.shape[i];
    return gemm;
}

}  // namespace

std::string operator_name(std::string_view full_name) {
    constexpr std::string_view kStandard = "aten::";
    if (full_name.starts_with(kStandard)) return std::string(full_name.substr(kStandard.size()));
    const std::size_t colons = full_name.find("::");
    if (colons == std::string_view::npos) return std::string(full_name);
    return fmt::format("{}.{}", full_name.substr(0, colons), full_name.substr(colons + 2));
}

std::string case_operator(const Json& operator_case) {
    return operator_name(text_or_empty(operator_case, "operator"));
}

std::string case_id(const Json& operator_case) {
    return text_or_empty(operator_case, "id");
}

Flops Gemm::flops() const {
    return {2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k) *
            static_cast<double>(batch)};
}

std::optional<Gemm> gemm_of(const Json& operator_case) {
    const std::string name = case_operator(operator_case);
    const std::vector<Tensor> tensors = tensors_of(operator_case);
    const bool plain = name == "mm" || name == "bmm" || name == "matmul";
    const bool added = name == "addmm" || name == "baddbmm";
    if (plain && tensors.size() >= 2) return product(tensors[0], tensors[1], false);
    if (added && tensors.size() >= 3) return product(tensors[1], tensors[2], false);
    if (name == "linear" && tensors.size() >= 2) return product(tensors[0], tensors[1], true);
    return std::nullopt;
}

std::optional<Bytes> streamed_bytes(const Json& operator_case) {
    // One output of the shape that the inputs broadcast to, written once; arithmetic is negligible.
    constexpr std::array<std::string_view, 10> kStreaming{
        "add", "add_", "mul", "mul_", "sub", "div", "neg", "copy_", "relu", "sigmoid"};
    const std::string name = case_operator(operator_case);
    if (std::find(kStreaming.begin(), kStreaming.end(), name) == kStreaming.end()) {
        return std::nullopt;
    }
    const std::vector<Tensor> tensors = tensors_of(operator_case);
    if (tensors.empty()) return std::nullopt;
    Bytes total;
    Bytes largest;
    for (const Tensor& tensor : tensors) {
        const Bytes size{tensor.elements() * bytes_per_element(tensor.dtype)};
        total += size;
        largest = std::max(largest, size);
    }
    // copy_ takes its output as an argument and does not read it.
    return name == "copy_" ? total : total + largest;
}

double elements_of(const Json& operator_case) {
    double total = 0.0;
    for (const Tensor& tensor : tensors_of(operator_case)) total += tensor.elements();
    return total;
}

std::string case_label(const Json& operator_case) {
    const std::vector<Tensor> tensors = tensors_of(operator_case);
    std::string label = case_operator(operator_case);
    if (!tensors.empty()) label += " " + tensors.front().dtype;
    for (const Tensor& tensor : tensors)
        label += fmt::format(" [{}]", fmt::join(tensor.shape, ", "));
    return label;
}

}  // namespace ascertain::checks
