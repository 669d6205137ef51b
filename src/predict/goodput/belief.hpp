// A number one is not sure of, and what the unsureness rests on.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace ascertain::goodput {

// What a number rests on, best first after `given`. The names are those of the catalog's files.
enum class Kind {
    kGiven,      // the campaign decides it
    kMeasured,   // on these devices, in evidence
    kPublished,  // in a paper or log about real runs
    kDatasheet,  // the vendor says it
    kPress,
    kRecalled,
    kGuessed,
};
[[nodiscard]] std::string_view name_of(Kind kind);
[[nodiscard]] std::optional<Kind> kind_from(std::string_view name);
// Nobody measured it, here or in published runs.
[[nodiscard]] bool unmeasured(Kind kind);

// `mid` is the median, `low` and `high` the 10 % and 90 % quantiles of the belief.
struct Uncertain {
    double low = 0.0;
    double mid = 0.0;
    double high = 0.0;
    Kind kind = Kind::kGuessed;
    std::string source;
};

[[nodiscard]] Uncertain certain(double value, std::string source);

// 90 % quantile of the standard normal: belief quantiles are counted in normal scores.
inline constexpr double kScore90 = 1.2815515655446004;

// The value at normal score z: 0 gives mid, -kScore90 low, kScore90 high. Between and beyond,
// log-linear on each side where low > 0 (a split log-normal), else linear and never below 0.
[[nodiscard]] double value_at(const Uncertain& belief, double z);

// A belief without an interval in a number that nobody measured gets one: mid divided and
// multiplied by 1.25 (datasheet), 1.5 (press, recalled) or 2 (guessed); 1.25 for published ones.
// Judgement; docs/decisions/goodput-uncertainty.md.
[[nodiscard]] Uncertain widened(const Uncertain& belief);

// kBadInput naming `name` unless 0 <= low <= mid <= high <= limit, all finite.
[[nodiscard]] Result<void> validate(const Uncertain& belief, std::string_view name, double limit);

}  // namespace ascertain::goodput
