// A failure as a bug report that needs nothing of ours: a Python script of at most 40 lines that
// makes inputs like those of the failing call, runs the operator on the device and on the CPU in
// fp64, and exits 1 when the device is wrong. docs/formulas.md#vendor-script.
#pragma once

#include <string>
#include <vector>

#include "decide/report/html.hpp"

namespace ascertain::report {

struct Material;

inline constexpr std::size_t kVendorScriptLinesMax = 40;

struct VendorScript {
    std::string check;
    std::string device;
    std::string file;  // below the run's folder: "vendor/ops.numerics.mm.py"
    std::string text;
};

// One for every check that failed on one operator call, and for operators that are not there.
// What needs a whole trainer to show has none.
[[nodiscard]] std::vector<VendorScript> vendor_scripts(const Material& material);
[[nodiscard]] std::vector<VendorScript> vendor_scripts(const ReportInput& input);

}  // namespace ascertain::report
