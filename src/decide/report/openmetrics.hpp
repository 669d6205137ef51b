// The verdict as OpenMetrics text, for Prometheus and what understands it.
#pragma once

#include <string>

#include "decide/judge/verdict.hpp"

namespace ascertain::report {

// Families: ascertain_verdict (state set), ascertain_check_passed (1 only for a sound pass; label
// `status` says why not), ascertain_check_duration_seconds, ascertain_observation (label `unit`),
// ascertain_measured_over_predicted_ratio, ascertain_device_hours. What is unknown has no sample.
// A check or metric that occurs twice keeps its first sample. Format: OpenMetrics 1.0, ended by #
// EOF.
[[nodiscard]] std::string openmetrics(const judge::Verdict& verdict);

}  // namespace ascertain::report
