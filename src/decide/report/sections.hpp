// The sections of the report, top to bottom. Each is a pure function from the material to HTML;
// html.cpp puts them in order. Inside this room only.
#pragma once

#include <string>

#include "decide/report/material.hpp"

namespace ascertain::report {

// verdict_section.cpp: the verdict with its scope, then what blocks it, the next rung, the waivers.
[[nodiscard]] std::string verdict_banner(const Material& material);
[[nodiscard]] std::string blockers_section(const Material& material);
[[nodiscard]] std::string next_rung_section(const Material& material);
[[nodiscard]] std::string waivers_section(const Material& material);

// causes.cpp: the catalogued defects whose failures are most like this run's; empty where nothing
// failed or nothing was compared.
[[nodiscard]] std::string causes_section(const Material& material);

// questions.cpp: the five questions, each with its picture.
[[nodiscard]] std::string questions_section(const Material& material);

// operator_map.cpp: which operators are right.
[[nodiscard]] std::string operator_map(const Material& material);

// operators.cpp: how near each operator comes to its bound, and how its errors are spread.
[[nodiscard]] std::string operator_errors(const Material& material);
[[nodiscard]] std::string error_histograms(const Material& material);

// learning.cpp: loss and gradient norm of device and reference; tensors that differ most.
[[nodiscard]] std::string learning_pictures(const Material& material);

// endurance.cpp: what arrived wrong, bandwidth by size, pairs of ranks, step times of the soak.
[[nodiscard]] std::string endurance_pictures(const Material& material);

// finishing.cpp: what the simulator foretells of the large run; planning.cpp: its plans.
[[nodiscard]] std::string finishing_pictures(const Material& material);
[[nodiscard]] std::string plan_table(const Material& material);

// landscape.cpp: the plans that a search saw, time against memory; "" when the document has none.
[[nodiscard]] std::string landscape_picture(const Json& document);

// timeline.cpp: the states of one history as a strip; "" when the projection has none.
[[nodiscard]] std::string timeline_picture(const Json& projection);

// comparison.cpp: what was foretold beside what was measured.
[[nodiscard]] std::string comparison_section(const Material& material);

// checks.cpp: every check with its numbers, criterion, seed, command and records.
[[nodiscard]] std::string checks_section(const Material& material);

// appendix.cpp: formulas that are cited, checks left out, every record.
[[nodiscard]] std::string formulas_section(const Material& material);
[[nodiscard]] std::string left_out_section(const Material& material);
[[nodiscard]] std::string records_section(const Material& material);
// Where a name or source cites a formula that the report holds: a link to it, else "".
[[nodiscard]] std::string formula_link(const Material& material, std::string_view citation);

}  // namespace ascertain::report
