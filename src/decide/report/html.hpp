// The report: one HTML file that says what was decided and shows the evidence for it. Made only
// from the verdict and the records, so the same evidence gives the same bytes; asks nothing of a
// network.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "decide/evidence/chain.hpp"
#include "decide/judge/verdict.hpp"

namespace ascertain::report {

using evidence::Record;

// One section of docs/formulas.md: shown where a criterion or a metric names its anchor.
struct Formula {
    std::string anchor;
    std::string title;
    std::string text;
};

struct ReportInput {
    const judge::Verdict& verdict;
    const std::vector<Record>& records;  // in their order in the evidence
    std::string_view chart_js;           // the text of Chart.js 3 or 4; empty: tables, no charts
    std::vector<Formula> formulas;       // may be empty
};

// The whole document. Whatever is not known is shown as not known; text from evidence is escaped
// and cut at 2,000 bytes. Cost: linear in evidence and verdict; about 0.3 MB beside them.
[[nodiscard]] std::string html(const ReportInput& input);

// The sections of a formulas page: headings of level two or three, whose anchor is what stands in
// {#braces} at their end, else the heading in lower case with hyphens.
[[nodiscard]] std::vector<Formula> formulas_from_markdown(std::string_view markdown);

}  // namespace ascertain::report
