// The armed rules of the points of trainer, checkpoint and sampler, and which of them act now.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "defects/defect.hpp"

namespace ascertain::training::planted {

// Reads the file that ASCERTAIN_DEFECTS names, before the first request; its rules act on `device`
// alone, and replace those of an earlier call. Errors: those of reading it.
[[nodiscard]] Result<void> arm(at::Device device);

// A rule and one call that it was asked about.
struct Asked {
    const defects::Rule* rule = nullptr;
    std::size_t place = 0;  // of the rule among the armed ones
    bool acts = false;
    std::uint64_t draw = 0;  // the same for the same seed and call
};

// The rules of `point` for something that happens on `device`; each counts as matched. Those that
// sleep, hang, throw or crash have done so already.
[[nodiscard]] std::vector<Asked> ask(std::string_view point, at::Device device);
// The same rules, asked about nothing: none counts as matched, none acts.
[[nodiscard]] std::vector<Asked> armed(std::string_view point, at::Device device);

// The rule has changed something.
void count_fired(const Asked& asked);

// What `asked`'s rule kept for `owner` `steps` asks ago, undefined where there was nothing of that
// shape yet; keeps `value` for later. `steps` 0: the first that was ever kept.
[[nodiscard]] at::Tensor kept(const Asked& asked, const void* owner, const at::Tensor& value,
                              std::int64_t steps);
// What it kept last.
[[nodiscard]] at::Tensor last_kept(const Asked& asked, const void* owner);

}  // namespace ascertain::training::planted
