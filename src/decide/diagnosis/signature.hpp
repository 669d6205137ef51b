// Which catalogued defects a device's failures resemble.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "decide/judge/verdict.hpp"

namespace ascertain::diagnosis {

// One failed check, as far as a signature needs it.
struct Failure {
    std::string check;      // "ops.numerics.mm"
    std::string status;     // "FAILED"
    std::string criterion;  // that was not met; empty where the device did not answer
};

using Signature = std::set<std::string>;

[[nodiscard]] Signature signature_of(const std::vector<Failure>& failures);
// Of the checks of a verdict that weigh against it.
[[nodiscard]] std::vector<Failure> failures_of(const std::vector<judge::CheckVerdict>& checks);

// A catalogued defect with the signature it left on the simulated chip.
struct Known {
    std::string id;
    std::string family;  // its class
    std::string summary;
    std::string source;
    std::string remedy;  // empty: none known
    std::vector<Failure> failures;
};

struct Cause {
    const Known* known = nullptr;
    double likeness = 0.0;  // 0: nothing in common; 1: the same signature
};

// The likeliest of every class that has anything in common with `failures`, the likeliest class
// first. docs/formulas.md#signatures. Cost: known times traits.
[[nodiscard]] std::vector<Cause> rank(const std::vector<Known>& known,
                                      const std::vector<Failure>& failures);

// How often the class of a known defect is among the first `first` classes that are named when the
// defect itself is taken out of the known ones and looked for. Those that failed nothing are not
// asked about. Cost: quadratic.
struct LeaveOneOut {
    std::size_t asked = 0;
    std::size_t named = 0;
    std::vector<std::string> missed;  // "id (class): first, second, third"

    [[nodiscard]] double share() const {
        return asked > 0 ? static_cast<double>(named) / static_cast<double>(asked) : 0.0;
    }
};
[[nodiscard]] LeaveOneOut leave_one_out(const std::vector<Known>& known, std::size_t first);

// Below this likeness a cause is no explanation, and one says that none fits.
inline constexpr double kFits = 0.25;

// The matrix document (data/schema/signatures.schema.json). Error: kBadInput naming the field.
[[nodiscard]] Result<std::vector<Known>> read_matrix(std::string_view text, std::string_view name);
[[nodiscard]] Json matrix_to_json(const std::vector<Known>& known);

}  // namespace ascertain::diagnosis
