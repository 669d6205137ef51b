// Published figures of serving, predicted and scored: the serving side of `ascertain score`.
#pragma once

#include <string>

#include "app/home.hpp"
#include "app/table.hpp"
#include "app/terminal.hpp"
#include "base/json.hpp"
#include "predict/catalog/catalog.hpp"
#include "predict/cost/constants.hpp"
#include "predict/serving/serving.hpp"

namespace ascertain::app {

// Whether the document is a list of serving figures (ascertain.served/1).
[[nodiscard]] bool is_served(const Json& document);

struct ServedRequest {
    std::string path;   // of the document, for errors
    std::string page;   // where docs/validation-serving.md is written; empty: nowhere
    std::string level;  // where data/cost/serving.toml is written; empty: nowhere
    Format format = Format::kTable;
    bool rows = false;
};
// Models are the files of data/models. Returns the exit code: inconclusive when too few rows can be
// predicted.
[[nodiscard]] int score_served(Terminal& terminal, const Home& home, const catalog::Catalog& known,
                               const cost::CostBook& book, const Json& document,
                               const ServedRequest& request);

// data/cost/serving.toml.
[[nodiscard]] Result<serving::EngineLevel> read_engine_level(const Home& home);

}  // namespace ascertain::app
