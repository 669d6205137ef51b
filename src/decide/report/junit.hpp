// The verdict as JUnit XML, for the build systems that read nothing else.
#pragma once

#include <string>

#include "decide/judge/verdict.hpp"

namespace ascertain::report {

// One suite per question, one case per check, and a suite "verdict" whose only case passes for a
// QUALIFIED verdict alone, so that an empty or truncated run is never a pass. A failing check is a
// <failure>; a required one that is not known to be good is an <error>; an optional or waived one
// is <skipped>. Every one of these carries its reason.
[[nodiscard]] std::string junit(const judge::Verdict& verdict);

}  // namespace ascertain::report
