// The declared arithmetic of this process's chip. Nothing is declared unless the environment names
// a variant file.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

#include <string>

#include "chips/simulated/arithmetic/declared.hpp"

namespace ascertain::simulated::arithmetic {

// Once, before anything runs. Returns what is wrong with the file, with its place, or "".
[[nodiscard]] std::string declare_from_environment();

[[nodiscard]] const Declared& declared();

// Does the operator on the CPU tensors on `stack`: by a kernel of the declared arithmetic where
// there is one, else by `op`'s CPU kernel.
void run(const c10::OperatorHandle& op, torch::jit::Stack& stack);

}  // namespace ascertain::simulated::arithmetic
