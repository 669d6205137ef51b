// docs/detection.md: what the checks catch, as a page.
#pragma once

#include <string>

#include "app/prove/results.hpp"
#include "base/result.hpp"

namespace ascertain::app {

// Puts the tables of `results` between the two marks of the page at `path`, and leaves the rest as
// it is. Errors: kBadInput without marks; kEvidence.
[[nodiscard]] Result<void> write_page(const std::string& path, const ProofResults& results);

}  // namespace ascertain::app
