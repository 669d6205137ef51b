// A number of the catalog: its value, and what that value rests on.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/units.hpp"

namespace ascertain::catalog {

// How a number came to be known, best first. A projection prints the kinds it rests on.
enum class Kind {
    kMeasured,   // somebody ran it and printed it
    kPublished,  // a paper or report about real runs states it
    kDatasheet,  // the vendor says it
    kPress,      // launch coverage, trade press, community compilation
    kRecalled,   // from memory, not looked up
    kGuessed,    // an assumption of this tool or of the user
};

[[nodiscard]] std::string_view name_of(Kind kind);
[[nodiscard]] std::optional<Kind> kind_from(std::string_view name);

// One-sided relative spread (one standard deviation) that a number of this kind deserves when its
// source states none. Our judgement, written down in docs/decisions/predict-catalog.md.
[[nodiscard]] double default_spread(Kind kind);

// A number with its provenance. Unknown numbers have no value and say why; ranges have low and high
// and their middle as value. `Number` is a Quantity (SI inside) or a plain double.
template <typename Number>
struct Figure {
    std::optional<Number> value;
    std::optional<Number> low;  // only when the source gives a range
    std::optional<Number> high;
    std::optional<double> plus_minus;  // one-sided relative spread, when the source states one
    Kind kind = Kind::kGuessed;
    std::string unit;  // as the source prints it
    std::string source;
    std::string reason;  // why the value is unknown
    std::string date;
    std::string note;

    [[nodiscard]] bool known() const { return value.has_value(); }

    // Relative one-sided spread: stated, half of the range, or the default of the kind.
    [[nodiscard]] double spread() const {
        if (plus_minus) return *plus_minus;
        if (low && high && *high > *low) return (*high - *low) / (*high + *low);
        return default_spread(kind);
    }
};

// The value, or kUnknownValue naming `what` ("chip x: peak_dense.fp8") with the reason.
template <typename Number>
[[nodiscard]] Result<Number> need(const Figure<Number>& figure, std::string_view what) {
    if (figure.known()) return *figure.value;
    return Error{ErrorCode::kUnknownValue,
                 "unknown (" +
                     (figure.reason.empty() ? std::string("no figure given") : figure.reason) +
                     "); state it in a catalog file of your own",
                 std::string(what)};
}

}  // namespace ascertain::catalog
