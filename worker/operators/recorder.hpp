// Watches torch's dispatcher and writes down which operators ran, with what.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/operators/case.hpp"

namespace ascertain::operators {

// [m, k] x [k, n], `batch` of them; as model::GemmShape.
struct Gemm {
    std::int64_t m = 0;
    std::int64_t n = 0;
    std::int64_t k = 0;
    std::int64_t batch = 1;

    bool operator==(const Gemm&) const = default;
};

// All calls of one operator with the same arguments in one phase.
struct RecordedCall {
    std::string op;  // "aten::mm"
    std::string overload;
    std::string phase;
    std::string module;   // where it was first seen, "" when nobody said
    bool compute = true;  // false: views, allocation, reading a scalar
    std::int64_t count = 0;
    double seconds = 0.0;          // all calls together; 0 unless times are kept
    std::int64_t host_copies = 0;  // copies between devices inside it: how a fallback looks
    double host_copy_bytes = 0.0;
    std::optional<Gemm> gemm;         // where it is a matrix product
    std::optional<Case> call_case;    // `count` filled in
    std::string without_case_reason;  // why there is none
};

struct Recording {
    std::vector<RecordedCall> calls;  // in order of first appearance
    double overhead_s = 0.0;          // spent on looking at arguments, or paused
    c10::Device device = c10::Device(c10::DeviceType::CPU);  // where units ran
};

// Who says what phase a unit belongs to: set_phase(), or what torch itself is doing.
enum class Phases {
    kTold,
    // "backward" while autograd runs, "optimizer" inside torch.optim's step, "clip" between the two
    // without gradients, else "forward". For trainers that nobody can change.
    kSeen,
};

// What torch.optim calls the scope of an optimizer's step, up to the class's name.
inline constexpr std::string_view kOptimizerScope = "Optimizer.step#";

// Records every unit that runs on any thread between construction and stop(): the outermost record
// whose operator has a CPU kernel, is one of the composites that vendors fuse, or comes from a
// library of the user's or a vendor's (docs/formulas.md#operator-units). Tensors without values
// (meta, tracing) are passed over. One recorder at a time.
class Recorder {
public:
    // With keep_times the device is synchronised after every unit; where units of a device other
    // than the CPU are seen, that one is meant. kSeen records from the start, kTold from the first
    // set_phase().
    Recorder(c10::Device device, bool keep_times, Phases phases = Phases::kTold);
    ~Recorder();
    Recorder(const Recorder&) = delete;
    Recorder& operator=(const Recorder&) = delete;

    // What the units from now on belong to. pause(): nothing is recorded until the next phase.
    void set_phase(std::string phase);
    // The module that units from now on belong to.
    void set_module(std::string module);
    // Gives calls that were first seen since the last naming, and have no module yet, this one.
    void name_recent(const std::string& module);
    void pause();

    // Spent on looking at arguments, or paused, so far.
    [[nodiscard]] double overhead_s() const;

    // Ends the recording.
    [[nodiscard]] Recording stop();

    class Impl;

private:
    std::unique_ptr<Impl> impl_;
};

// Whether an operator ("library::name") comes from the user or a vendor and not from torch itself.
[[nodiscard]] bool is_foreign(std::string_view op);

// How the device comes by an operator: "native" (a kernel of its own), "composite" (made of other
// operators), "fallback" (handed to another device), or "missing".
[[nodiscard]] std::string_view support_of(const std::string& op, const std::string& overload,
                                          c10::Device device);

}  // namespace ascertain::operators
