// Autocast of the device: the lists that torch has for accelerators. The CPU's own list differs
// (softmax and norms stay in 16 bits there), so under autocast the device need not equal the CPU.
#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <torch/library.h>

#include "worker/host/torch.hpp"

namespace {

using namespace at;  // the lists name its types so
using namespace at::autocast;

TORCH_LIBRARY_IMPL(_, AutocastPrivateUse1, m) {
    m.fallback(torch::CppFunction::makeFallthrough());
}

TORCH_LIBRARY_IMPL(aten, AutocastPrivateUse1, m) {
#define ASCERTAIN_LOWER(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, lower_precision_fp)
    AT_FORALL_LOWER_PRECISION_FP(ASCERTAIN_LOWER)
#undef ASCERTAIN_LOWER
#define ASCERTAIN_WIDE(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, fp32)
    AT_FORALL_FP32(ASCERTAIN_WIDE)
#undef ASCERTAIN_WIDE
#define ASCERTAIN_WIDE_RESULT(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, fp32_set_opt_dtype)
    AT_FORALL_FP32_SET_OPT_DTYPE(ASCERTAIN_WIDE_RESULT)
#undef ASCERTAIN_WIDE_RESULT
    AT_FORALL_DIFFERENT_REDISPATCH_SIGNATURE(KERNEL_DIFFERENT_REDISPATCH_SIGNATURE_PRIVATEUSEONE)
#define ASCERTAIN_WIDEST(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, promote)
    AT_FORALL_PROMOTE(ASCERTAIN_WIDEST)
#undef ASCERTAIN_WIDEST
}

}  // namespace
