// What the tests of this room share: the shipped data and a few plain setups.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "model/config.hpp"
#include "predict/catalog/load.hpp"
#include "predict/cost/constants.hpp"
#include "predict/cost/job.hpp"
#include "predict/parallel/plan.hpp"

namespace ascertain::cost {

inline std::string data_path(const std::string& name) {
    return std::string(ASCERTAIN_SOURCE_DIR) + "/data/" + name;
}

inline std::string read_text(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

inline const catalog::Catalog& shipped_catalog() {
    static const auto catalog = catalog::load_catalog(data_path(""), {});
    EXPECT_TRUE(catalog) << (catalog ? "" : catalog.error().text());
    return *catalog;
}

inline const CostBook& shipped_book() {
    static const auto book =
        CostBook::parse(read_text(data_path("cost/constants.toml")), "constants.toml");
    EXPECT_TRUE(book) << (book ? "" : book.error().text());
    return *book;
}

inline model::Architecture shipped_model(const std::string& name) {
    const auto architecture =
        model::read_config(read_text(data_path("models/" + name + ".json")), name);
    EXPECT_TRUE(architecture) << (architecture ? "" : architecture.error().text());
    return *architecture;
}

inline catalog::Fleet fleet_of(const std::string& chip, std::int64_t count,
                               const std::string& network = "ib-hdr") {
    const auto fleet = catalog::resolve_fleet(shipped_catalog(), chip, count, 8, network, 0);
    EXPECT_TRUE(fleet) << (fleet ? "" : fleet.error().text());
    return *fleet;
}

// GPT-3 175B on 1,024 devices, the plan of the field's own comparisons.
inline TrainingJob gpt3_job() {
    TrainingJob job;
    job.sequence_length = 2048;
    job.global_batch_sequences = 1536;
    return job;
}

inline parallel::Plan gpt3_plan() {
    parallel::Plan plan;
    plan.tp = 8;
    plan.pp = 8;
    plan.dp = 16;
    plan.vpp = 6;
    plan.schedule = parallel::ScheduleKind::kInterleaved;
    plan.sequence_parallel = true;
    return plan;
}

}  // namespace ascertain::cost
