#include "defects/read.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "defects/places.hpp"
#include "defects/read_rule.hpp"

namespace ascertain::defects {
namespace {

constexpr std::size_t kBytesMax = 1U << 20U;

std::size_t place_in(const std::vector<std::string>& names, const std::string& name) {
    return static_cast<std::size_t>(std::ranges::find(names, name) - names.begin());
}

void read_rules(Document& document, const toml::table& table, TomlTable& fields, Defect& defect) {
    const bool several = table.get("rule") != nullptr;
    const bool one = table.get("where") != nullptr || table.get("does") != nullptr ||
                     table.get("when") != nullptr;
    if (!defect.not_expressible.empty()) {
        if (several || one) {
            fields.refuse("not_expressible",
                          "a defect that is not expressible has no where, when, does or rule");
        }
        return;
    }
    if (several && one) {
        fields.refuse("rule", "a defect has where, when and does of its own, or [[defect.rule]]");
        return;
    }
    if (!several) {
        defect.rules.push_back(read_rule(document, fields, "defect"));
        return;
    }
    for (const toml::table* rule : fields.tables("rule", true)) {
        TomlTable inner(*rule, "defect.rule", document.path, document.error);
        defect.rules.push_back(read_rule(document, inner, "defect.rule"));
        inner.refuse_unknown();
    }
}

Defect read_defect(Document& document, const toml::table& table) {
    TomlTable fields(table, "defect", document.path, document.error);
    Defect defect;
    defect.id = fields.text("id");
    defect.summary = fields.text("summary");
    defect.source = fields.text("source");
    if (table.get("class") != nullptr) defect.kind = fields.choice("class", defect_classes());
    static_cast<void>(fields.text_or("class", ""));
    if (table.get("plane") != nullptr) {
        const std::string plane = fields.choice("plane", plane_names());
        const std::size_t place = place_in(plane_names(), plane);
        if (place < plane_names().size()) defect.plane = static_cast<Plane>(place);
    }
    static_cast<void>(fields.text_or("plane", ""));
    defect.remedy = fields.text_or("remedy", "");
    defect.scaled = fields.text_or("scaled", "");
    defect.not_expressible = fields.text_or("not_expressible", "");
    read_rules(document, table, fields, defect);
    fields.refuse_unknown();
    return defect;
}

std::vector<Defect> read_root(Document& document, const toml::table& root) {
    TomlTable fields(root, "defects", document.path, document.error);
    static_cast<void>(fields.choice("schema", {kSchema}));
    std::vector<Defect> defects;
    std::set<std::string> ids;
    for (const toml::table* table : fields.tables("defect", true)) {
        defects.push_back(read_defect(document, *table));
        if (!ids.insert(defects.back().id).second) {
            TomlTable(*table, "defect", document.path, document.error)
                .refuse("id", fmt::format("\"{}\" is there twice", defects.back().id));
        }
    }
    fields.refuse_unknown();
    return defects;
}

}  // namespace

Result<std::vector<Defect>> read_defects(std::string_view text, const std::string& path,
                                         const std::vector<std::string>& operators) {
    if (text.size() > kBytesMax) {
        return Error{ErrorCode::kBadInput, fmt::format("more than {} bytes", kBytesMax),
                     path + ":1:1"};
    }
    try {
        const toml::table root = toml::parse(text, path);
        Document document{path, operators, std::nullopt};
        std::vector<Defect> defects = read_root(document, root);
        if (document.error) return *document.error;
        return defects;
    } catch (const toml::parse_error& problem) {
        const auto& begin = problem.source().begin;
        return Error{ErrorCode::kBadInput, std::string(problem.description()),
                     fmt::format("{}:{}:{}", path, begin.line, begin.column)};
    }
}

}  // namespace ascertain::defects
