#include "worker/training/parameters.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <span>

#include "base/assert.hpp"
#include "base/random.hpp"
#include "base/text.hpp"

namespace ascertain::training {
namespace {

constexpr std::size_t kDrawnMax = 1'048'573;  // the largest prime below 2^20

std::uint64_t stream_of(const std::string& name) {
    const std::string hash = short_hash(name);
    std::uint64_t stream = 0;
    std::from_chars(hash.data(), hash.data() + hash.size(), stream, 16);
    return stream;
}

at::Tensor drawn(std::uint64_t seed, const std::string& name, at::IntArrayRef shape, Fill fill) {
    const at::TensorOptions options = at::TensorOptions().dtype(at::kFloat);
    if (fill.deviation == 0.0) return at::full(shape, fill.mean, options);
    at::Tensor value = at::empty(shape, options);
    const std::span<float> elements(value.mutable_data_ptr<float>(),
                                    static_cast<std::size_t>(value.numel()));
    const std::size_t count = std::min(elements.size(), kDrawnMax);
    Random random(seed, stream_of(name));
    for (std::size_t i = 0; i < count; ++i) {
        elements[i] = static_cast<float>(fill.mean + fill.deviation * random.normal());
    }
    for (std::size_t begin = count; begin < elements.size(); begin += count) {
        const std::size_t length = std::min(count, elements.size() - begin);
        std::copy_n(elements.begin(), length,
                    elements.begin() + static_cast<std::ptrdiff_t>(begin));
    }
    return value;
}

}  // namespace

at::Tensor Parameters::append(std::string name, at::Tensor value, bool trained) {
    for (const Parameter& known : list_) ASCERTAIN_ASSERT(known.name != name);
    const bool matrix = value.dim() >= 2;
    value = value.to(at::TensorOptions(device_).dtype(dtype_)).set_requires_grad(trained);
    list_.push_back({std::move(name), value, trained, trained && matrix});
    return value;
}

at::Tensor Parameters::add(std::string name, at::IntArrayRef shape, Fill fill) {
    at::Tensor value = drawn_ ? drawn(seed_, name, shape, fill)
                              : at::empty(shape, at::TensorOptions(device_).dtype(dtype_));
    return append(std::move(name), std::move(value), true);
}

at::Tensor Parameters::add_buffer(std::string name, at::IntArrayRef shape) {
    return append(std::move(name), at::zeros(shape, at::TensorOptions().dtype(at::kFloat)), false);
}

std::int64_t Parameters::trained_count() const {
    std::int64_t count = 0;
    for (const Parameter& parameter : list_) {
        if (parameter.trained) count += parameter.value.numel();
    }
    return count;
}

std::vector<at::Tensor> Parameters::trained() const {
    std::vector<at::Tensor> tensors;
    for (const Parameter& parameter : list_) {
        if (parameter.trained) tensors.push_back(parameter.value);
    }
    return tensors;
}

void Parameters::clear_gradients() {
    for (Parameter& parameter : list_) parameter.value.mutable_grad() = at::Tensor();
}

void Parameters::copy_from(const Parameters& other) {
    ASCERTAIN_ASSERT(list_.size() == other.list_.size());
    const c10::AutoGradMode no_gradients(false);
    for (std::size_t i = 0; i < list_.size(); ++i) {
        ASCERTAIN_ASSERT(list_[i].name == other.list_[i].name);
        list_[i].value.copy_(other.list_[i].value);
    }
}

std::vector<NamedTensor> on_disk(const Parameter& parameter, const at::Tensor& value) {
    const std::size_t star = parameter.name.find('*');
    if (star == std::string::npos) return {{parameter.name, value}};
    std::vector<NamedTensor> tensors;
    for (std::int64_t expert = 0; expert < value.size(0); ++expert) {
        std::string name = parameter.name;
        name.replace(star, 1, fmt::format("{}", expert));
        tensors.push_back({std::move(name), value.select(0, expert)});
    }
    return tensors;
}

}  // namespace ascertain::training
