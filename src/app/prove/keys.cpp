#include "app/prove/keys.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace ascertain::app {

std::string definition_hash(const checks::Definition& definition) {
    return short_hash(fmt::format("{}|{}|{}|{}|{}|{}|{}|{}|{}", definition.id, definition.asks,
                                  static_cast<int>(definition.question), definition.family,
                                  static_cast<int>(definition.subjects),
                                  static_cast<int>(definition.profile_min), definition.timing,
                                  definition.sees_failures, definition.tamper));
}

std::string checks_hash() {
    std::string all;
    for (const auto& definition : checks::all()) all += definition_hash(definition);
    return short_hash(all);
}

}  // namespace ascertain::app
