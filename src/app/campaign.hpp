// The campaign: what is to be decided. One TOML file, read strictly: every error carries
// file:line:column, unknown keys show the near match, quantities need their unit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/plan_wish.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "base/units.hpp"

namespace ascertain::app {

enum class StageKind { kPretrain, kSft, kGrpo };

// Whether an update waits for its longest answer, or unfinished ones go on in the next update
// (partial rollouts, arXiv 2501.12599 section 2.6.2).
enum class Rollout { kNotSaid, kSynchronous, kPartial };

// One stage of training, in order. Pretrain and sft count tokens; grpo counts updates.
struct Stage {
    StageKind kind = StageKind::kPretrain;
    double tokens = 0.0;                      // pretrain, sft: tokens in all, > 0
    std::int64_t sequence_length = 0;         // pretrain, sft: tokens per sequence
    std::int64_t global_batch_sequences = 0;  // pretrain, sft: sequences per optimizer step
    std::int64_t updates = 0;                 // grpo: optimizer steps
    std::int64_t prompts_per_update = 0;      // grpo
    std::int64_t samples_per_prompt = 0;      // grpo
    std::int64_t response_tokens = 0;         // grpo: mean tokens of a response
    std::int64_t prompt_tokens = 0;           // grpo: mean tokens of a prompt
    std::int64_t response_tokens_max = 0;     // grpo: where an answer is cut off; 0: not said
    // grpo: the answers of so many updates are written at once, then split into their batches.
    std::int64_t updates_per_rollout = 1;
    Rollout rollout = Rollout::kNotSaid;  // grpo
    std::string fleet;                    // empty: the only fleet
    std::string rollout_fleet;            // grpo: empty: the same fleet
    std::string
        shared_fleet;  // trains the same stage beside `fleet`, each with its share of a batch
    PlanWish plan;     // [training.stage.plan]: only such plans are tried
};

// So many chips of one kind on one network, as far as the user knows them.
struct FleetSpec {
    std::string name;     // empty for the only fleet
    std::string chip;     // catalog id or alias, or a path to a chip file
    std::string network;  // catalog id or a path
    std::int64_t count = 0;
    std::int64_t chips_per_node = 8;
    std::int64_t spare_nodes = 0;
    std::optional<Dollars> price_per_chip_hour;
    std::optional<BytesPerSecond> checkpoint_bandwidth;  // of the whole fleet's storage, writes
    std::optional<Seconds> restart_time;                 // from failure noticed to training again
};

// What the trained model is to serve, and on what.
struct ServingSpec {
    std::string chip;        // catalog id or alias; empty when the campaign does not say
    std::string network;     // empty: that of the fleet of this chip, else of the first fleet
    std::int64_t count = 0;  // chips there are; 0: as many as it takes
    std::int64_t chips_per_node = 8;
    std::string precision;          // bf16 | fp8 | int8 | fp4; empty: what weights and chip share
    double prompt_tokens = 2000.0;  // of a request, on average
    double output_tokens = 1000.0;
    double cached_ratio = 0.0;  // of the prompt, whose keys and values are kept already
    std::optional<Seconds> time_per_output_token;  // at most
    std::optional<Seconds> time_to_first_token;    // at most, without queueing
    std::optional<double> output_tokens_per_s;     // what all users together ask for
};

struct Decision {
    std::optional<Seconds> finish_within;
    std::optional<Dollars> budget;
    double confidence = 0.9;  // in (0, 1)
    std::optional<double> interruptions_per_day_at_most;
};

// How the run saves, shrinks and is looked after. What is not said keeps the defaults of
// data/reliability: blocking checkpoints at the best interval, no shrinking, no maintenance.
struct Operations {
    std::string checkpoint;  // blocking | asynchronous | in_memory; empty: blocking
    std::optional<Seconds> checkpoint_interval;  // absent: the best one
    std::optional<Seconds> persistent_interval;  // in_memory: between copies in storage
    // Nodes may be missing: the run goes on without up to this share of its data-parallel replicas.
    double replicas_lost_at_most = 0.0;
    std::optional<Seconds> maintenance_every;
    std::optional<Seconds> maintenance_takes;
    std::optional<double> monitoring_ratio;  // watching for corruption costs so much of a step
    // Standard deviation of one device's step time over its mean, all causes; a step waits for the
    // slowest of all.
    std::optional<double> step_time_spread;
};

struct WaiverSpec {
    std::string check;
    std::string by;
    std::string until;  // "2027-01-31"
    std::string why;
};

struct Campaign {
    std::string path;               // of the campaign file, for messages
    std::string model_config;       // path of the Hugging Face config.json, resolved
    std::string precision;          // bf16 | fp8 | fp16 | fp32
    std::vector<Stage> stages;      // at least one
    std::vector<FleetSpec> fleets;  // at least one
    ServingSpec serving;
    Decision decision;
    Operations operations;
    std::vector<std::string> devices;  // "auto" or names
    std::string reference = "cpu";
    std::string defects;  // a rehearsal: armed in the simulated devices; empty: none
    std::vector<WaiverSpec> waivers;
    std::vector<std::string> compare_chips;  // what `ascertain compare` compares; may be empty
};

// Reads a campaign from its text. `path` is where it came from: errors name it, and relative paths
// inside are resolved against its folder. Errors: kBadInput with path:line:column. Cost: linear.
[[nodiscard]] Result<Campaign> read_campaign(std::string_view text, const std::string& path);

// As evidence keeps it.
[[nodiscard]] Json to_json(const Campaign& campaign);

[[nodiscard]] std::string_view name_of(StageKind kind);
[[nodiscard]] std::string_view name_of(Rollout rollout);  // "" when not said

}  // namespace ascertain::app
