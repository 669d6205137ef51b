// The kernels of the simulated device.
#pragma once

#include <torch/library.h>

#include <string>
#include <vector>

namespace ascertain::simulated {

// Those that make or view memory, copy, or stand for an operator of another name: the few that are
// not simply the CPU's kernel of the same name.
void add_own_kernels(torch::Library& library);

// Every other operator of torch that has a CPU kernel, also where a composite one would do (it may
// compute something else: native_layer_norm), so that the device runs what the CPU runs.
[[nodiscard]] std::vector<c10::OperatorHandle> host_operators();
void add_host_kernel(torch::Library& library, const c10::OperatorHandle& op);

// Names, without namespace and overload, of everything that a defect can name.
[[nodiscard]] std::vector<std::string> operator_names(
    const std::vector<c10::OperatorHandle>& operators);

// What an operator without a kernel of its own gets: the CPU's, known to torch as a fallback.
void add_fallback(torch::Library& library);

// Lets scaled_dot_product_attention choose as on the CPU.
void choose_attention_as_on_the_cpu();

}  // namespace ascertain::simulated
