// One pass of a model in a serving engine, in seconds: the operators of predict/cost, with what is
// different when nothing is trained. docs/formulas.md#serving-pass
#pragma once

#include <memory>
#include <string>

#include "base/result.hpp"
#include "model/architecture.hpp"
#include "predict/cost/layer.hpp"
#include "predict/cost/machine.hpp"
#include "predict/serving/question.hpp"

namespace ascertain::serving {

// A model split for one replica on a machine, ready to be priced at any batch.
struct Server {
    model::Architecture whole;  // with redundant experts, so that they divide
    model::Architecture rank;   // what one chip holds
    Layout layout;
    Engine engine;
    cost::TrainingJob job;
    cost::Machine machine;
    catalog::Fleet fleet;
};

// Errors: those of check() and priced(), of cost::resolve_machine and model::shard_architecture.
[[nodiscard]] Result<Server> make_server(const model::Architecture& architecture,
                                         const catalog::Fleet& fleet, const Layout& layout,
                                         const Engine& engine, const cost::CostBook& book);

// Seconds of the passes of one group. `host` is the engine between two passes.
struct Pass {
    cost::PassSeconds layers;
    cost::PassSeconds head;
    double host_s = 0.0;
    std::int64_t stages = 1;
    double fullest_share = 1.0;  // of the layers, on the stage that has most of them
    double send_s = 0.0;         // from a stage to the next

    [[nodiscard]] double seconds() const { return layers.total() + head.total() + host_s; }
    // Through all stages, with nothing else under way.
    [[nodiscard]] double latency() const;
    // What a pass keeps the busiest stage: the fullest one with the head.
    [[nodiscard]] double busiest_stage() const;
};

// Share of the layers on the stage that has most of them: ceil(L / pp) / L.
[[nodiscard]] double fullest_share(const Server& server);

// Prompts of `length` tokens of which `cached_ratio` needs no computing; `prompts` of them at once
// in each group. Errors: those of model::operators.
[[nodiscard]] Result<Pass> prefill_pass(const Server& server, double prompts, double length,
                                        double cached_ratio);
// One step of `sequences` sequences in each group, which attend to `context` tokens each. A step
// checks the drafted tokens and makes the next ones.
[[nodiscard]] Result<Pass> decode_pass(const Server& server, double sequences, double context);

// Tokens that a sequence gains by one step: 1 without drafts, else the run of accepted ones.
[[nodiscard]] double tokens_per_step(const Engine& engine);

// The largest part of a pass: "memory and products", "attention", "experts' exchange" ...
[[nodiscard]] std::string bound_by(const Pass& pass);

}  // namespace ascertain::serving
