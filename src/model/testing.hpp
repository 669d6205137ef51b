// What the unit tests of this room share.
#pragma once

#include <fstream>
#include <iterator>
#include <string>

#include "model/config.hpp"

namespace ascertain::model::testing_support {

inline std::string model_text(const std::string& file) {
    std::ifstream in(std::string(ASCERTAIN_SOURCE_DIR) + "/data/models/" + file);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// The architecture of a published config; the reader's own error ends the test program.
inline Architecture model_of(const std::string& file) {
    return read_config(model_text(file), file).value();
}

inline constexpr const char* kModelFiles[] = {
    "deepseek-r1.json",  "deepseek-v2-lite.json", "deepseek-v3.json",
    "gpt3-175b.json",    "kimi-k2.json",          "llama-2-70b.json",
    "llama-2-7b.json",   "llama-3.1-405b.json",   "llama-3.1-70b.json",
    "llama-3.1-8b.json", "mixtral-8x7b.json",     "pangu-ultra-moe-718b.json",
    "qwen2.5-7b.json",   "qwen3-235b-a22b.json",  "qwen3-30b-a3b.json",
    "qwen3-8b.json",
};

}  // namespace ascertain::model::testing_support
