// What armed rules do, one function an effect, in tables that engine.cpp looks them up in.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.hpp"
#include "chips/simulated/defects/matching.hpp"
#include "defects/defect.hpp"

namespace ascertain::simulated::defects {

// What a rule remembers from call to call.
struct Memory {
    std::vector<at::Tensor> previous;            // what the last matching call wrote
    std::map<std::string, at::Tensor> by_shape;  // what the first call of each shape drew
    std::map<const void*, at::Tensor> by_place;  // what lay where when it was first seen
    std::vector<c10::DataPtr> held;              // device memory that never comes back
};

// One call in which a rule acts.
struct Moment {
    const std::string& id;  // of the defect
    const ascertain::defects::Does& does;
    const Call& call;
    const c10::OperatorHandle& op;
    torch::jit::Stack& stack;  // arguments, until the kernel has run
    std::vector<Output>& outputs;
    const std::vector<at::Tensor>& previous;  // what the matching call before this one wrote
    Memory& memory;
    Random& random;
    double elapsed_s = 0.0;  // of the kernel
    double busy_s = 0.0;     // of the device, so far

    [[nodiscard]] std::span<c10::IValue> arguments() const {
        const std::size_t count = op.schema().arguments().size();
        return {&stack[stack.size() - count], count};
    }
    // Whether argument `index` is only read: what is written must stay where it is.
    [[nodiscard]] bool only_read(std::size_t index) const {
        const auto* alias = op.schema().arguments()[index].alias_info();
        return alias == nullptr || !alias->isWrite();
    }
};

enum class Stage {
    kBefore,  // before the kernel; counted before it happens, for the process may not live on
    kInputs,  // changes what the kernel reads
    kAfter,   // changes what it wrote
};

struct Action {
    std::string_view kind;
    Stage stage = Stage::kAfter;
    bool (*act)(Moment&) = nullptr;  // whether anything was done
};

[[nodiscard]] std::span<const Action> value_actions();
[[nodiscard]] std::span<const Action> sum_actions();
[[nodiscard]] std::span<const Action> input_actions();
[[nodiscard]] std::span<const Action> place_actions();
[[nodiscard]] std::span<const Action> run_actions();

// ---- for the tables ----

[[nodiscard]] inline bool is_floating(const at::Tensor& tensor) {
    return at::isFloatingType(tensor.scalar_type()) && tensor.numel() > 0;
}
// Lets `change` work on the elements in logical order, whatever the strides.
void change_flat(const at::Tensor& output, const std::function<void(at::Tensor&)>& change);
// `change` for every floating output; whether there was one.
[[nodiscard]] bool each_floating(Moment& moment,
                                 const std::function<bool(const at::Tensor&)>& change);
// Rounded to a dtype, or to `bits` of mantissa where bits > 0; in its own dtype.
[[nodiscard]] at::Tensor rounded(const at::Tensor& values, std::string_view dtype,
                                 std::int64_t bits);
// fp32 values with all but `bits` bits of mantissa cleared.
[[nodiscard]] at::Tensor truncated(const at::Tensor& values, std::int64_t bits);
// The range [begin, end) of flat elements that `part`, `share` and `elements` mean.
[[nodiscard]] std::pair<std::int64_t, std::int64_t> part_of(const Moment& moment,
                                                            std::int64_t elements);
// Of late writes of a device: what still waits is written now.
void flush_late_writes(c10::DeviceIndex device);
// Whether `lose_device` has acted on that device.
[[nodiscard]] bool device_lost(c10::DeviceIndex device);
// Of the call, or the thread's where no tensor says.
[[nodiscard]] c10::DeviceIndex device_of(const Moment& moment);

}  // namespace ascertain::simulated::defects
