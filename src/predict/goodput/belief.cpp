#include "predict/goodput/belief.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "predict/goodput/sampling.hpp"

namespace ascertain::goodput {
namespace {

constexpr std::array<std::string_view, 7> kKindNames = {
    "given", "measured", "published", "datasheet", "press", "recalled", "guessed"};

double widening_factor(Kind kind) {
    switch (kind) {
        case Kind::kGiven:
        case Kind::kMeasured: return 1.0;
        case Kind::kPublished:
        case Kind::kDatasheet: return 1.25;
        case Kind::kPress:
        case Kind::kRecalled: return 1.5;
        case Kind::kGuessed: return 2.0;
    }
    return 2.0;
}

}  // namespace

std::string_view name_of(Kind kind) {
    return kKindNames[static_cast<std::size_t>(kind)];
}

std::optional<Kind> kind_from(std::string_view name) {
    const auto found = std::find(kKindNames.begin(), kKindNames.end(), name);
    if (found == kKindNames.end()) return std::nullopt;
    return static_cast<Kind>(found - kKindNames.begin());
}

bool unmeasured(Kind kind) {
    return kind >= Kind::kDatasheet;
}

Uncertain certain(double value, std::string source) {
    return {value, value, value, Kind::kGiven, std::move(source)};
}

double value_at(const Uncertain& belief, double z) {
    const double share = std::abs(z) / kScore90;
    const double end = z < 0.0 ? belief.low : belief.high;
    if (belief.low > 0.0) {
        return belief.mid * portable_exp(share * portable_log(end / belief.mid));
    }
    return std::max(0.0, belief.mid + share * (end - belief.mid));
}

Uncertain widened(const Uncertain& belief) {
    if (belief.low < belief.high) return belief;
    const double factor = widening_factor(belief.kind);
    Uncertain wide = belief;
    wide.low = belief.mid / factor;
    wide.high = belief.mid * factor;
    return wide;
}

Result<void> validate(const Uncertain& belief, std::string_view name, double limit) {
    if (belief.low >= 0.0 && belief.low <= belief.mid && belief.mid <= belief.high &&
        belief.high <= limit) {
        return {};
    }
    return Error{ErrorCode::kBadInput,
                 fmt::format("low {}, mid {}, high {} must be finite, in this order, and between 0 "
                             "and {}",
                             belief.low, belief.mid, belief.high, limit),
                 std::string(name)};
}

}  // namespace ascertain::goodput
