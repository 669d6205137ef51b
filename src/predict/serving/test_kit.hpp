// What the tests of this room share: shipped data and plain servers.
#pragma once

#include "predict/cost/test_kit.hpp"
#include "predict/serving/serving.hpp"

namespace ascertain::serving {

inline EngineLevel shipped_level() {
    const auto level =
        EngineLevel::parse(cost::read_text(cost::data_path("cost/serving.toml")), "serving.toml");
    EXPECT_TRUE(level) << (level ? "" : level.error().text());
    return *level;
}

inline Server server_of(const std::string& model, const std::string& chip, const Layout& layout,
                        const Engine& engine) {
    const auto server = make_server(cost::shipped_model(model), cost::fleet_of(chip, 8), layout,
                                    engine, cost::shipped_book());
    EXPECT_TRUE(server) << (server ? "" : server.error().text());
    return *server;
}

inline Engine in(Precision precision) {
    Engine engine;
    engine.precision = precision;
    return engine;
}

}  // namespace ascertain::serving
