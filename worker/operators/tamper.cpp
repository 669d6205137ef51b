#include "worker/operators/tamper.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "base/random.hpp"
#include "base/text.hpp"
#include "worker/operators/dtype.hpp"

namespace ascertain::operators {
namespace {

constexpr std::array<std::pair<std::string_view, TamperKind>, 6> kKinds = {{
    {"scale", TamperKind::kScale},
    {"element", TamperKind::kElement},
    {"round", TamperKind::kRound},
    {"flip", TamperKind::kFlip},
    {"nondeterministic", TamperKind::kNondeterministic},
    {"slow", TamperKind::kSlow},
}};

constexpr std::string_view kWhere = "params.tamper";

Result<TamperKind> kind_from(const std::string& name) {
    std::vector<std::string> names;
    for (const auto& [known, kind] : kKinds) {
        if (known == name) return kind;
        names.emplace_back(known);
    }
    return Error{
        ErrorCode::kBadInput,
        fmt::format("unknown kind \"{}\"{}", shortened(name, 32), did_you_mean(name, names)),
        std::string(kWhere)};
}

Error out_of_range(std::string_view member, std::string_view range) {
    return {ErrorCode::kBadInput, fmt::format("{} must be {}", member, range), std::string(kWhere)};
}

// The largest element of a flat tensor: where a fault is seen best.
std::int64_t largest_place(const at::Tensor& flat) {
    return flat.to(at::kDouble).abs().nan_to_num(0.0, 0.0, 0.0).argmax().item<std::int64_t>();
}

void flip_bit(at::Tensor& flat, int bit) {
    const auto size = static_cast<int>(flat.element_size());
    const int wanted = bit % (8 * size);
    auto* bytes = static_cast<unsigned char*>(flat.mutable_data_ptr());
    bytes[flat.numel() / 2 * size + wanted / 8] ^= static_cast<unsigned char>(1u << (wanted % 8));
}

void change_whole(at::Tensor& flat) {
    at::Tensor place = flat.narrow(0, flat.numel() / 2, 1);
    if (flat.scalar_type() == at::kBool) {
        place.logical_not_();
    } else {
        place.add_(1);
    }
}

at::Tensor with_mantissa_bits(const at::Tensor& flat, int bits) {
    at::Tensor wide = flat.to(at::kDouble);
    FloatFormat format = format_of(at::kDouble);
    format.precision = bits + 1;
    auto* values = wide.mutable_data_ptr<double>();
    for (std::int64_t i = 0; i < wide.numel(); ++i) values[i] = rounded_to(values[i], format);
    return wide.to(flat.scalar_type());
}

// What a device would have given whose results are `factor` times too large before they are
// rounded: scaling what is already rounded would mostly round back. The digits lost are made up,
// uniformly.
at::Tensor scaled(const at::Tensor& flat, double factor) {
    const FloatFormat format = format_of(flat.scalar_type());
    at::Tensor wide = flat.to(at::kDouble);
    auto* values = wide.mutable_data_ptr<double>();
    Random random(0, 11);
    for (std::int64_t i = 0; i < wide.numel(); ++i) {
        if (!std::isfinite(values[i])) continue;
        const double lost = (random.uniform() - 0.5) * ulp_at(values[i], format);
        values[i] = rounded_to((values[i] + lost) * factor, format);
    }
    return wide.to(flat.scalar_type());
}

void change_real(const Tamper& tamper, at::Tensor& flat) {
    switch (tamper.kind) {
        case TamperKind::kScale: flat.copy_(scaled(flat, 1.0 + tamper.amount)); return;
        case TamperKind::kElement: {
            at::Tensor place = flat.narrow(0, largest_place(flat), 1);
            place.copy_(place.to(at::kDouble).mul(1.0 + tamper.amount));
            return;
        }
        case TamperKind::kRound: flat.copy_(with_mantissa_bits(flat, tamper.bits)); return;
        case TamperKind::kFlip: flip_bit(flat, tamper.bit); return;
        case TamperKind::kNondeterministic: flip_bit(flat, 0); return;
        case TamperKind::kSlow: return;
    }
}

}  // namespace

Result<std::optional<Tamper>> tamper_from(const Json& params) {
    const auto found = params.find("tamper");
    if (found == params.end() || found->is_null()) return std::optional<Tamper>();
    const Result<std::string> name = text_at(*found, "kind", kWhere);
    if (!name) return name.error();
    const Result<TamperKind> kind = kind_from(*name);
    if (!kind) return kind.error();
    Tamper tamper{.kind = *kind};
    if (tamper.kind == TamperKind::kScale || tamper.kind == TamperKind::kElement) {
        const Result<double> amount = number_at(*found, "amount", kWhere);
        if (!amount) return amount.error();
        tamper.amount = *amount;
    }
    if (tamper.kind == TamperKind::kRound || tamper.kind == TamperKind::kFlip) {
        const bool round = tamper.kind == TamperKind::kRound;
        const Result<long long> bits = integer_at(*found, round ? "bits" : "bit", kWhere);
        if (!bits) return bits.error();
        if (*bits < 0 || *bits > (round ? 51 : 63)) {
            return out_of_range(round ? "bits" : "bit", round ? "from 0 to 51" : "from 0 to 63");
        }
        (round ? tamper.bits : tamper.bit) = static_cast<int>(*bits);
    }
    if (tamper.kind == TamperKind::kSlow) {
        const Result<double> seconds = number_at(*found, "seconds", kWhere);
        if (!seconds) return seconds.error();
        if (!(*seconds >= 0.0 && *seconds <= 10.0)) return out_of_range("seconds", "from 0 to 10");
        tamper.seconds = *seconds;
    }
    return std::optional(tamper);
}

void corrupt(const Tamper& tamper, std::vector<Output>& outputs) {
    if (tamper.kind == TamperKind::kSlow) return;
    for (Output& output : outputs) {
        if (output.value.numel() == 0) continue;
        at::Tensor flat = output.value.contiguous().clone().flatten();
        if (at::isFloatingType(flat.scalar_type())) {
            change_real(tamper, flat);
        } else {
            change_whole(flat);
        }
        output.value = flat.reshape(output.value.sizes());
    }
}

}  // namespace ascertain::operators
