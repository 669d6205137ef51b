// The defects that `prove` arms, one by one, and the healthy variants beside them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/home.hpp"
#include "base/result.hpp"

namespace ascertain::app {

// One entry of a defect file, with the document that arms it alone.
struct CataloguedDefect {
    std::string id;
    std::string family;  // its class: "precision", "race" …
    std::string plane;   // chip, memory, runtime, fabric, trainer, checkpoint, serving or site
    std::string summary;
    std::string source;
    std::string remedy;           // empty: none known
    std::string not_expressible;  // why the language cannot say it; empty: it can
    std::string operators;        // where it sits, in words
    std::string document;         // TOML of this defect alone; empty when not expressible
    std::string place;            // file:line of its definition
};

// The defects of a file, or of every .toml in a folder, in the order of files and entries.
// Errors: kBadInput with file:line:column, also for an id that stands twice.
[[nodiscard]] Result<std::vector<CataloguedDefect>> read_defects(const std::string& path);

// Those that `only` selects ("AMD-*", "@race", "@chip"; empty: all), and of these `sample` drawn by
// `seed` (0: all), in their order. Error kUsage for a pattern that selects nothing.
[[nodiscard]] Result<std::vector<CataloguedDefect>> select_defects(
    const std::vector<CataloguedDefect>& defects, const std::vector<std::string>& only,
    std::int64_t sample, std::uint64_t seed);

// A legitimate chip: declared arithmetic, or none for the CPU's own.
struct HealthyVariant {
    std::string name;  // file name without .toml; "healthy" for the plain chip
    std::string path;  // empty: plain
};

// The plain chip first, then the .toml files of `folder`, which may be missing when it is the
// default one.
[[nodiscard]] Result<std::vector<HealthyVariant>> read_healthy_variants(const Home& home,
                                                                        const std::string& folder);

// Those that `only` names, with '*' for any characters (empty: all), in their order. Error kUsage
// for a pattern that names none.
[[nodiscard]] Result<std::vector<HealthyVariant>> select_variants(
    const std::vector<HealthyVariant>& variants, const std::vector<std::string>& only);

// Why defects of this plane are not shown to chips; empty: they are.
[[nodiscard]] std::string waits_for(const std::string& plane);

}  // namespace ascertain::app
