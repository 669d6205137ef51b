#include "worker/operators/prepare.hpp"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>

#include <fstream>
#include <string>

#include "base/units.hpp"
#include "worker/host/failure.hpp"
#include "worker/operators/family.hpp"

namespace ascertain::operators {
namespace {

constexpr double kBytesPerKib = 1024.0;

// What the kernel thinks could be handed out; infinite where it does not say.
double available_bytes() {
    std::ifstream file("/proc/meminfo");
    for (std::string key; file >> key;) {
        double kib = 0.0;
        if (key == "MemAvailable:" && file >> kib) return kib * kBytesPerKib;
    }
    return 1e300;
}

}  // namespace

bool is_random(const Prepared& prepared) {
    if (family_of(prepared.operator_case.op) == Family::kRandom) return true;
    if (!prepared.op.hasTag(at::Tag::nondeterministic_seeded)) return false;
    const std::optional<int> dropout = prepared.op.schema().argumentIndexWithName("dropout_p");
    if (!dropout) return true;
    const Argument& share = prepared.operator_case.arguments[static_cast<std::size_t>(*dropout)];
    return share != Argument(Scalar(0.0));
}

Result<std::int64_t> count_at(const Json& params, std::string_view key, std::int64_t low,
                              std::int64_t high) {
    const Result<long long> count = integer_at(params, key, "params");
    if (!count) return count.error();
    if (*count < low || *count > high) {
        return Error{ErrorCode::kBadInput, fmt::format("{} must be from {} to {}", key, low, high),
                     "params"};
    }
    return static_cast<std::int64_t>(*count);
}

Result<Prepared> prepare(const Json& params, double copies) {
    if (!params.contains("case")) {
        return Error{ErrorCode::kBadInput, "\"case\" is missing", "params"};
    }
    Result<Case> operator_case = case_from_json(params["case"], "case");
    if (!operator_case) return operator_case.error();
    const Result<std::int64_t> seed = count_at(params, "seed", 0, std::int64_t{1} << 53);
    if (!seed) return seed.error();
    const Result<std::optional<Tamper>> tamper = tamper_from(params);
    if (!tamper) return tamper.error();
    const Result<c10::OperatorHandle> op = find_operator(*operator_case);
    if (!op) return op.error();
    const double needed = copies * input_bytes(*operator_case);
    if (needed > available_bytes()) {
        return Error{ErrorCode::kEnvironment,
                     fmt::format("the case needs about {} of host memory, {} are free",
                                 format_size({needed}), format_size({available_bytes()})),
                     "case"};
    }
    return Prepared{std::move(*operator_case), *op, static_cast<std::uint64_t>(*seed), *tamper};
}

Result<std::vector<Output>> run_on_device(const Prepared& prepared, const Stack& stack) {
    return worker::guarded(prepared.operator_case.op, [&] {
        std::vector<Output> outputs = call(prepared.operator_case, prepared.op, stack);
        for (Output& output : outputs) output.value = output.value.to(at::kCPU);
        return outputs;
    });
}

void synchronise(at::Device device) {
    if (device.is_cpu()) return;
    const c10::impl::VirtualGuardImpl guard(device.type());
    guard.synchronizeDevice(device.index());
}

}  // namespace ascertain::operators
