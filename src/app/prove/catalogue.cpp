#include "app/prove/catalogue.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <sstream>

#include "app/files.hpp"
#include "base/random.hpp"
#include "base/text.hpp"

namespace ascertain::app {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kFileBytesMax = 4u << 20;

Error at(const std::string& path, const toml::source_region& region, std::string message) {
    return {ErrorCode::kBadInput, std::move(message),
            fmt::format("{}:{}:{}", path, region.begin.line, region.begin.column)};
}

std::string text_of(const toml::table& table, std::string_view key) {
    const auto* node = table.get(key);
    if (node == nullptr) return {};
    return node->value<std::string>().value_or("");
}

// The operators of all rules, wherever `where` tables stand below the entry.
void collect_operators(const toml::node& node, std::set<std::string>& found) {
    if (const auto* list = node.as_array()) {
        for (const auto& item : *list) collect_operators(item, found);
    } else if (const auto* table = node.as_table()) {
        if (const auto where = table->get_as<toml::table>("where")) {
            for (const char* place : {"operator", "collective", "point", "event"}) {
                const auto* named = where->get(place);
                if (named == nullptr) continue;
                if (const auto one = named->value<std::string>()) found.insert(*one);
                if (const auto* several = named->as_array()) {
                    for (const auto& name : *several) found.insert(name.value_or(std::string()));
                }
            }
        }
        for (const auto& [key, inner] : *table) collect_operators(inner, found);
    }
}

std::string document_of(const toml::table& root, const toml::table& entry) {
    toml::table alone;
    if (const auto* schema = root.get("schema")) alone.insert("schema", schema->value_or(""));
    toml::array list;
    list.push_back(entry);
    alone.insert("defect", std::move(list));
    std::ostringstream text;
    text << alone << "\n";
    return std::move(text).str();
}

Result<CataloguedDefect> read_entry(const toml::table& root, const toml::table& entry,
                                    const std::string& path) {
    CataloguedDefect defect;
    for (const auto& [key, to] :
         {std::pair{"id", &defect.id}, std::pair{"summary", &defect.summary},
          std::pair{"source", &defect.source}}) {
        *to = text_of(entry, key);
        if (to->empty()) {
            return at(path, entry.source(), fmt::format("defect: \"{}\" is missing", key));
        }
    }
    defect.family = text_of(entry, "class");
    if (defect.family.empty()) defect.family = "example";
    defect.plane = text_of(entry, "plane");
    if (defect.plane.empty()) defect.plane = "chip";
    defect.remedy = text_of(entry, "remedy");
    defect.not_expressible = text_of(entry, "not_expressible");
    std::set<std::string> operators;
    collect_operators(entry, operators);
    for (const auto& name : operators) {
        defect.operators += (defect.operators.empty() ? "" : ", ") + name;
    }
    if (defect.not_expressible.empty()) defect.document = document_of(root, entry);
    defect.place = fmt::format("{}:{}", path, entry.source().begin.line);
    return defect;
}

Result<void> read_file_of_defects(const std::string& path, std::vector<CataloguedDefect>& defects) {
    const auto text = read_file(path, kFileBytesMax);
    if (!text) return text.error();
    toml::table root;
    try {
        root = toml::parse(*text, path);
    } catch (const toml::parse_error& error) {
        return at(path, error.source(), std::string(error.description()));
    }
    const auto* list = root.get_as<toml::array>("defect");
    if (list == nullptr || list->empty()) {
        return Error{ErrorCode::kBadInput, "there is no [[defect]] in this file", path};
    }
    for (const auto& item : *list) {
        const auto* entry = item.as_table();
        if (entry == nullptr) return at(path, item.source(), "\"defect\" must hold only tables");
        auto defect = read_entry(root, *entry, path);
        if (!defect) return defect.error();
        const auto twin = std::ranges::find(defects, defect->id, &CataloguedDefect::id);
        if (twin != defects.end()) {
            return at(path, entry->source(),
                      fmt::format("\"{}\" stands at {} already", defect->id, twin->place));
        }
        defects.push_back(*std::move(defect));
    }
    return {};
}

bool selects(const std::string& pattern, const CataloguedDefect& defect) {
    if (pattern.starts_with("@")) {
        const std::string group = pattern.substr(1);
        return group == defect.family || group == defect.plane;
    }
    return matches_wildcard(defect.id, pattern);
}

std::vector<std::string> names_of(const std::vector<CataloguedDefect>& defects) {
    std::set<std::string> names;
    for (const auto& defect : defects) {
        names.insert(defect.id);
        names.insert("@" + defect.family);
        names.insert("@" + defect.plane);
    }
    return {names.begin(), names.end()};
}

}  // namespace

Result<std::vector<CataloguedDefect>> read_defects(const std::string& path) {
    std::vector<std::string> paths{path};
    std::error_code failed;
    if (fs::is_directory(path, failed)) {
        paths.clear();
        for (const auto& entry : fs::directory_iterator(path, failed)) {
            if (entry.path().extension() == ".toml") paths.push_back(entry.path().string());
        }
        std::ranges::sort(paths);
        if (paths.empty()) {
            return Error{ErrorCode::kBadInput, "there is no .toml file in this folder", path};
        }
    }
    std::vector<CataloguedDefect> defects;
    for (const auto& file : paths) {
        const auto read = read_file_of_defects(file, defects);
        if (!read) return read.error();
    }
    return defects;
}

Result<std::vector<CataloguedDefect>> select_defects(const std::vector<CataloguedDefect>& defects,
                                                     const std::vector<std::string>& only,
                                                     std::int64_t sample, std::uint64_t seed) {
    std::vector<const CataloguedDefect*> chosen;
    for (const auto& pattern : only) {
        const auto matches = [&](const auto& defect) { return selects(pattern, defect); };
        if (std::ranges::any_of(defects, matches)) continue;
        return Error{ErrorCode::kUsage,
                     fmt::format("--only {} selects no defect{}", pattern,
                                 did_you_mean(pattern, names_of(defects))),
                     ""};
    }
    for (const auto& defect : defects) {
        const auto by = [&](const std::string& pattern) { return selects(pattern, defect); };
        if (only.empty() || std::ranges::any_of(only, by)) chosen.push_back(&defect);
    }
    // Selection sampling: each of those left is taken with probability wanted / left (Knuth,
    // The Art of Computer Programming, volume 2, 3.4.2, algorithm S).
    Random random(seed, 0);
    auto wanted = sample > 0 ? static_cast<std::uint64_t>(sample) : chosen.size();
    std::vector<CataloguedDefect> result;
    for (std::size_t i = 0; i < chosen.size(); ++i) {
        const std::uint64_t left = chosen.size() - i;
        if (wanted < left && random.below(left) >= wanted) continue;
        result.push_back(*chosen[i]);
        --wanted;
    }
    return result;
}

Result<std::vector<HealthyVariant>> read_healthy_variants(const Home& home,
                                                          const std::string& folder) {
    std::vector<HealthyVariant> variants{{"healthy", ""}};
    const std::string from = folder.empty() ? home.data("variants") : folder;
    std::error_code ignored;
    if (folder.empty() && !fs::is_directory(from, ignored)) return variants;
    const auto paths = files_in(from, ".toml");
    if (!paths) return paths.error();
    for (const auto& path : *paths) variants.push_back({fs::path(path).stem().string(), path});
    return variants;
}

Result<std::vector<HealthyVariant>> select_variants(const std::vector<HealthyVariant>& variants,
                                                    const std::vector<std::string>& only) {
    std::vector<std::string> names;
    for (const auto& variant : variants) names.push_back(variant.name);
    for (const auto& pattern : only) {
        const auto named = [&](const std::string& name) { return matches_wildcard(name, pattern); };
        if (std::ranges::any_of(names, named)) continue;
        return Error{ErrorCode::kUsage,
                     fmt::format("--variant {} names no healthy variant{}", pattern,
                                 did_you_mean(pattern, names)),
                     ""};
    }
    std::vector<HealthyVariant> chosen;
    for (const auto& variant : variants) {
        const auto by = [&](const std::string& pattern) {
            return matches_wildcard(variant.name, pattern);
        };
        if (only.empty() || std::ranges::any_of(only, by)) chosen.push_back(variant);
    }
    return chosen;
}

std::string waits_for(const std::string& plane) {
    if (plane != "site") return {};
    return "acts over the months of a site: they are simulated, nothing here runs that long";
}

}  // namespace ascertain::app
