// The likeliest causes of what failed, from the shipped matrix of signatures.
#pragma once

#include <string>
#include <vector>

#include "app/home.hpp"
#include "app/terminal.hpp"
#include "decide/judge/verdict.hpp"

namespace ascertain::app {

// Puts the ranked causes into verdict.context["causes"], with what was compared; an empty list when
// something failed and no catalogued defect fits; nothing when nothing failed or no matrix ships.
void add_causes(const Home& home, judge::Verdict& verdict);

// The causes of `verdict` for people, after add_causes().
void print_causes(const Terminal& terminal, const judge::Verdict& verdict);

}  // namespace ascertain::app
