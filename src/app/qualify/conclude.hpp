// From evidence on disk to verdict and report: what `qualify` ends with, and what `judge` and
// `report` do again at any time.
#pragma once

#include <string>
#include <vector>

#include "app/home.hpp"
#include "base/result.hpp"
#include "decide/evidence/chain.hpp"
#include "decide/judge/criteria.hpp"
#include "decide/judge/proofs.hpp"
#include "decide/judge/verdict.hpp"

namespace ascertain::app {

// data/criteria/*.toml.
[[nodiscard]] Result<judge::CriteriaSet> read_criteria(const Home& home);

// The verdict that the records allow, as of the last one: waivers are the campaign's own, and run
// out against the evidence's time, so that the same evidence gives the same verdict on any day.
[[nodiscard]] Result<judge::Verdict> verdict_of(const std::vector<evidence::Record>& records,
                                                const judge::CriteriaSet& criteria,
                                                const judge::Proofs& proofs);

// Writes verdict.json, report.html, report.xml, metrics.txt and a vendor script per failure into
// `directory`, each whole or not at all. kEvidence.
[[nodiscard]] Result<void> write_reports(const Home& home, const std::string& directory,
                                         const std::vector<evidence::Record>& records,
                                         const judge::Verdict& verdict);

}  // namespace ascertain::app
