// From evidence to verdict. Pure: the same records, criteria, waivers and date give the same
// verdict on any machine. docs/decisions/judge-verdict-rules.md says why each rule is as it is.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "decide/evidence/chain.hpp"
#include "decide/judge/criteria.hpp"
#include "decide/judge/opinion.hpp"
#include "decide/judge/proofs.hpp"
#include "decide/judge/verdict.hpp"

namespace ascertain::judge {

// `records` is a whole run as `evidence::read_all` gives it; `now_utc` an ISO 8601 time, which
// decides only what has run out (waivers, validity). Anything the judge does not understand
// (a gap in the chain, an unknown kind, a body of another form, no required set) makes the verdict
// INCONCLUSIVE with a blocker that names it. `proofs` are those that still hold: they show of a
// check what its control would. kInternal only when `now_utc` is no date.
[[nodiscard]] Result<Verdict> judge(const std::vector<evidence::Record>& records,
                                    const CriteriaSet& criteria, const std::vector<Waiver>& waivers,
                                    std::string_view now_utc, const Proofs& proofs = {});

}  // namespace ascertain::judge
