// A run on the disk: everything that the next step depends on, so that a resumed run makes the same
// bits as one that was never stopped.
#pragma once

#include <filesystem>

#include "base/result.hpp"
#include "worker/training/trainer.hpp"

namespace ascertain::training {

// Writes `folder`: model.safetensors (weights and router biases under their published names),
// optimizer.safetensors (both moments and the update count) and trainer.json (position, seed,
// recipe and architecture, hashes of the two files). All of it goes to "<folder>.partial" first, is
// flushed and then renamed: a kill at any moment leaves the whole folder or none. An existing
// folder of that name is replaced. Errors: kEnvironment.
[[nodiscard]] Result<void> save_checkpoint(const Trainer& trainer,
                                           const std::filesystem::path& folder);

// Puts `trainer` where the checkpoint was written. Nothing is changed on an error: kBadInput for a
// file that does not fit its hash or another architecture, recipe or seed; kEnvironment for one
// that cannot be read.
[[nodiscard]] Result<void> load_checkpoint(Trainer& trainer, const std::filesystem::path& folder);

}  // namespace ascertain::training
