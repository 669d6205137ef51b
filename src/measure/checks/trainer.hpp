// The checks that a trainer of the user's own is asked: no part of a qualification, whose table is
// all().
#pragma once

#include "measure/checks/check.hpp"

namespace ascertain::checks {

// In their order. find() knows them too.
[[nodiscard]] std::span<const Definition> of_trainer();

}  // namespace ascertain::checks
