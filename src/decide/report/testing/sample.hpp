// Hand-made evidence with its verdict, for the tests of this room and the browser test. Numbers are
// plausible and hold nothing secret; nothing here reaches a user.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "decide/report/html.hpp"

namespace ascertain::report::testing {

struct Sample {
    judge::Verdict verdict;
    std::vector<Record> records;

    [[nodiscard]] ReportInput input(std::string_view chart_js = {}) const {
        return {verdict, records, chart_js, {}};
    }
};

// A quick screening of a CPU: nothing found, one check not run, INCONCLUSIVE.
[[nodiscard]] Sample screened_cpu();
// An accelerator with wrong operators, a hang, a diverging run and a late finish: NOT_QUALIFIED.
[[nodiscard]] Sample failing_device();
// No record, nothing asked.
[[nodiscard]] Sample nothing();
// Names, messages and numbers that try to break the document.
[[nodiscard]] Sample hostile();

// A check with one bounded metric, ready to be changed by a test.
[[nodiscard]] judge::CheckVerdict simple_check(std::string id, judge::Status status,
                                               judge::Weight weight);

}  // namespace ascertain::report::testing
