// What a session of a run is: who ran what, on what, with which software.
#pragma once

#include <string>

#include "app/qualify/options.hpp"
#include "app/qualify/prepare.hpp"
#include "app/qualify/reuse.hpp"
#include "decide/evidence/store.hpp"

namespace ascertain::app {

// Writes the "context" record, and the campaign's texts as blobs.
[[nodiscard]] Result<std::string> write_context(evidence::Store& store,
                                                const Preparation& preparation,
                                                const QualifyOptions& options);

// The campaign as evidence has it, how its step is captured, and of its chips what a rung needs to
// know.
[[nodiscard]] Json campaign_json(const Situation& situation, const QualifyOptions& options);

// What decides whether another run's answers are this one's. Before the devices have been asked,
// software and devices are empty.
[[nodiscard]] RunIdentity identity_of(const Situation& situation, const QualifyOptions& options);
[[nodiscard]] RunIdentity identity_of(const Preparation& preparation,
                                      const QualifyOptions& options);

// The run that --reuse names, verified; its capture is left out when the question is another one.
// Errors: kUsage where the cases are given ones, which no earlier run need have asked; those of
// read_lower_rung() and read_situation().
[[nodiscard]] Result<LowerRung> open_lower_rung(const Home& home, const QualifyOptions& options);

// Takes over what of the lower rung holds: says what must be repeated, cites it ("reused" record),
// copies predictions, attempts and their blobs. Returns the attempts. Errors: kEvidence.
[[nodiscard]] Result<std::vector<qualification::Attempt>> take_over(Terminal& terminal,
                                                                    evidence::Store& store,
                                                                    const LowerRung& lower,
                                                                    const Preparation& preparation,
                                                                    const QualifyOptions& options);

}  // namespace ascertain::app
