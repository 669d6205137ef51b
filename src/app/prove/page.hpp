// docs/detection.md: what the checks catch, as a page.
#pragma once

#include <string>

#include "app/home.hpp"
#include "app/prove/results.hpp"
#include "base/result.hpp"
#include "decide/diagnosis/signature.hpp"

namespace ascertain::app {

// So many classes a diagnosis names.
inline constexpr std::size_t kCausesNamed = 3;

[[nodiscard]] std::string detection_page(const Home& home);

// Puts the tables of `results` between the two marks of the page at `path`, and leaves the rest as
// it is. Errors: kBadInput without marks; kEvidence.
[[nodiscard]] Result<void> write_page(const std::string& path, const ProofResults& results,
                                      const diagnosis::LeaveOneOut& diagnosis);
// Likewise the runs of healthy variants, and the detection limits, between the marks of theirs.
[[nodiscard]] Result<void> write_healthy(const std::string& path, const ProofResults& results);
[[nodiscard]] Result<void> write_limits(const std::string& path, const ProofResults& results);

}  // namespace ascertain::app
