// The weights of a model: a flat list of named tensors, all made on the CPU from a seed, so that
// every device starts from the same bits.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace ascertain::training {

struct Parameter {
    // The name in the model's published checkpoints. The matrices of all experts are one tensor
    // [experts, out, in] here and one tensor each on disk: "*" stands for the expert's number.
    std::string name;
    at::Tensor value;
    bool trained = true;  // false: a buffer that no gradient reaches, such as the router bias
    bool decays = false;  // weight decay applies: matrices, but no norms, biases or buffers
};

// How a new tensor is filled.
struct Fill {
    double mean = 0.0;
    double deviation = 0.0;  // 0: all elements equal the mean
};

class Parameters {
public:
    // Tensors go to `device` in fp32 (fp64 in tests), filled with values that depend on `seed` and
    // the name alone. Tensors beyond 2^20 elements repeat their first 1,048,573 (a prime, so that
    // rows differ).
    // Not `drawn`: the tensors are made and left unset.
    Parameters(std::uint64_t seed, at::Device device, at::ScalarType dtype, bool drawn = true)
        : seed_(seed), device_(device), dtype_(dtype), drawn_(drawn) {}

    // A new parameter; asking for a name twice is a bug.
    at::Tensor add(std::string name, at::IntArrayRef shape, Fill fill);
    at::Tensor add_buffer(std::string name, at::IntArrayRef shape);

    [[nodiscard]] const std::vector<Parameter>& all() const { return list_; }
    // Elements of the trained ones.
    [[nodiscard]] std::int64_t trained_count() const;
    [[nodiscard]] std::vector<at::Tensor> trained() const;
    // Forgets all gradients.
    void clear_gradients();
    // The values of `other`, which must have the same names and shapes.
    void copy_from(const Parameters& other);

private:
    at::Tensor append(std::string name, at::Tensor value, bool trained);

    std::uint64_t seed_;
    at::Device device_;
    at::ScalarType dtype_;
    bool drawn_;
    std::vector<Parameter> list_;
};

struct NamedTensor {
    std::string name;
    at::Tensor value;
};
// `value` belongs to `parameter` (itself, its gradient, a moment): one entry per tensor as it is on
// disk, that is with the experts apart.
[[nodiscard]] std::vector<NamedTensor> on_disk(const Parameter& parameter, const at::Tensor& value);

}  // namespace ascertain::training
