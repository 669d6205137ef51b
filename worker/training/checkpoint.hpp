// A run on the disk: everything that the next step depends on, so that a resumed run makes the same
// bits as one that was never stopped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "worker/training/trainer.hpp"

namespace ascertain::training {

// Writes `folder`: model.safetensors (weights and router biases under their published names),
// optimizer.safetensors (both moments and the update count) and trainer.json (position, seed,
// recipe and architecture, hashes of the two files). All of it goes to "<folder>.partial" first, is
// flushed and then renamed: a kill at any moment leaves the whole folder or none. An existing
// folder of that name is replaced. `between` is called after each file, before anything is
// published: where a test of endurance dies. Errors: kEnvironment.
[[nodiscard]] Result<void> save_checkpoint(const Trainer& trainer,
                                           const std::filesystem::path& folder,
                                           const std::function<void()>& between = {});

// Puts `trainer` where the checkpoint was written. Nothing is changed on an error: kBadInput for a
// file that does not fit its hash or another architecture, recipe or seed; kEnvironment for one
// that cannot be read.
[[nodiscard]] Result<void> load_checkpoint(Trainer& trainer, const std::filesystem::path& folder);

// A run's checkpoints, one folder per position below `run`: "step-000012".
[[nodiscard]] std::filesystem::path checkpoint_folder(const std::filesystem::path& run,
                                                      std::int64_t position);
// Removes all but the `keep` newest, and what a save that died left behind.
void retain_checkpoints(const std::filesystem::path& run, std::size_t keep);

struct Loaded {
    bool found = false;
    std::vector<std::string> skipped;  // newer ones that could not be loaded, and why
};
// Puts `trainer` where the newest good checkpoint was written; where there is none, it stays as it
// is.
[[nodiscard]] Loaded load_newest(Trainer& trainer, const std::filesystem::path& run);

}  // namespace ascertain::training
