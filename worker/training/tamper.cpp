#include "worker/training/tamper.hpp"

#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <array>
#include <bit>
#include <cmath>
#include <memory>
#include <vector>

#include "base/text.hpp"

namespace ascertain::training {
namespace {

constexpr std::string_view kWhere = "tamper";
constexpr std::int64_t kMantissaBits = 23;

struct Kind {
    std::string_view name;
    TamperKind kind;
    std::string_view number;  // the member that says how much
};
constexpr std::array kKinds{
    Kind{"scale", TamperKind::kScale, "amount"}, Kind{"element", TamperKind::kElement, "amount"},
    Kind{"round", TamperKind::kRound, "bits"}, Kind{"flip", TamperKind::kFlip, "bit"}};

float rounded(float value, std::int64_t bits) {
    int exponent = 0;
    const float fraction = std::frexp(value, &exponent);
    const auto kept = static_cast<int>(bits) + 1;  // the leading bit is implied
    return std::ldexp(std::nearbyint(std::ldexp(fraction, kept)), exponent - kept);
}

std::size_t largest_gradient(const std::vector<at::Tensor>& values) {
    std::size_t largest = 0;
    double norm = -1.0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (!values[i].grad().defined()) continue;
        const double own = values[i].grad().norm().to(at::kCPU).item<double>();
        if (own > norm) {
            norm = own;
            largest = i;
        }
    }
    return largest;
}

}  // namespace

Result<Tamper> tamper_from_json(const Json& document) {
    if (!document.is_object()) return Error{ErrorCode::kBadInput, "not an object", "tamper"};
    const Result<std::string> name = text_at(document, "kind", kWhere);
    if (!name) return name.error();
    std::vector<std::string> names;
    for (const Kind& known : kKinds) {
        names.emplace_back(known.name);
        if (known.name != *name) continue;
        Tamper tamper{.kind = known.kind};
        if (known.number == "amount") {
            const Result<double> amount = number_at(document, known.number, kWhere);
            if (!amount) return amount.error();
            tamper.amount = *amount;
            return tamper;
        }
        const Result<long long> number = integer_at(document, known.number, kWhere);
        if (!number) return number.error();
        (known.kind == TamperKind::kRound ? tamper.bits : tamper.bit) = *number;
        const bool valid = known.kind == TamperKind::kRound
                               ? *number >= 1 && *number <= kMantissaBits
                               : *number >= 0 && *number <= 31;
        if (valid) return tamper;
        return Error{ErrorCode::kBadInput, fmt::format("{} is no bit of an fp32 number", *number),
                     fmt::format("tamper: {}", known.number)};
    }
    return Error{ErrorCode::kBadInput,
                 fmt::format("\"{}\" cannot be done to a gradient{}", shortened(*name, 40),
                             did_you_mean(*name, names)),
                 "tamper: kind"};
}

at::Tensor tampered(const at::Tensor& gradient, const Tamper& tamper) {
    if (tamper.kind == TamperKind::kScale) return gradient.mul(1.0 + tamper.amount);
    at::Tensor host = gradient.to(at::kCPU, at::kFloat, false, /*copy=*/true).contiguous();
    float* values = host.mutable_data_ptr<float>();
    const std::int64_t count = host.numel();
    if (tamper.kind == TamperKind::kRound) {
        for (std::int64_t i = 0; i < count; ++i) values[i] = rounded(values[i], tamper.bits);
    } else {
        const std::int64_t place = host.abs().argmax().item<std::int64_t>();
        if (tamper.kind == TamperKind::kElement) {
            values[place] *= static_cast<float>(1.0 + tamper.amount);
        } else {
            const auto bits = std::bit_cast<std::uint32_t>(values[place]);
            values[place] = std::bit_cast<float>(bits ^ (std::uint32_t{1} << tamper.bit));
        }
    }
    return host.to(gradient.device(), gradient.scalar_type());
}

GradientHook tampering_hook(const Tamper& tamper) {
    const auto chosen = std::make_shared<std::optional<std::size_t>>();
    return [tamper, chosen](Parameters& parameters) {
        const c10::AutoGradMode no_gradients(false);
        const std::vector<at::Tensor> values = parameters.trained();
        if (!chosen->has_value()) *chosen = largest_gradient(values);
        const at::Tensor& value = values[**chosen];
        if (value.grad().defined()) value.mutable_grad() = tampered(value.grad(), tamper);
    };
}

}  // namespace ascertain::training
