// The file form of a CostBook.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "predict/cost/constants.hpp"

#include <toml++/toml.h>

namespace ascertain::cost {
namespace {

Error at(const toml::node& node, std::string_view name, std::string message) {
    const toml::source_position place = node.source().begin;
    return {ErrorCode::kBadInput, std::move(message),
            fmt::format("{}:{}:{}", name, place.line, place.column)};
}

std::optional<Constant> constant_from(std::string_view name) {
    for (const ConstantRow& row : constant_table())
        if (row.name == name) return row.which;
    return std::nullopt;
}

std::vector<std::string> constant_names() {
    std::vector<std::string> names;
    for (const ConstantRow& row : constant_table()) names.emplace_back(row.name);
    return names;
}

// [value or factor, log spread]
Result<Effect> read_effect(const toml::node& node, std::string_view name) {
    const toml::array* pair = node.as_array();
    if (pair == nullptr || pair->size() != 2)
        return at(node, name, "a constant is [value, log spread]");
    const auto value = (*pair)[0].value<double>();
    const auto spread = (*pair)[1].value<double>();
    if (!value || !spread || !(*value > 0.0) || !(*spread >= 0.0) || !std::isfinite(*value) ||
        !std::isfinite(*spread))
        return at(node, name, "value must be positive and spread not negative");
    return Effect{*value, *spread};
}

Result<std::vector<Group>> read_groups(const toml::table& root, std::string_view key,
                                       std::string_view name) {
    std::vector<Group> groups;
    const toml::node* node = root.get(key);
    if (node == nullptr) return groups;
    const toml::table* table = node->as_table();
    if (table == nullptr) return at(*node, name, fmt::format("write [{}.name]", key));
    for (const auto& [group_name, entry] : *table) {
        const toml::table* fields = entry.as_table();
        if (fields == nullptr) return at(entry, name, "a group is a section");
        Group group;
        group.name = std::string(group_name.str());
        for (const auto& [field, value] : *fields) {
            const std::string_view word = field.str();
            if (word == "chips") {
                const toml::array* chips = value.as_array();
                if (chips == nullptr) return at(value, name, "chips is a list of texts");
                for (const toml::node& chip : *chips)
                    group.members.push_back(chip.value_or(std::string()));
            } else if (word == "cores") {
                group.cores = value.value_or(std::int64_t{0});
            } else if (word == "launched") {
                group.launched = value.value_or(std::int64_t{0});
            } else if (word == "rows") {
                group.rows = value.value_or(std::int64_t{0});
            } else if (const auto which = constant_from(word)) {
                const Result<Effect> effect = read_effect(value, name);
                if (!effect) return effect.error();
                group.effects[*which] = *effect;
            } else {
                return at(value, name,
                          fmt::format("unknown constant \"{}\"{}", word,
                                      did_you_mean(word, constant_names())));
            }
        }
        groups.push_back(std::move(group));
    }
    return groups;
}

void write_groups(std::string& out, std::string_view key, const std::vector<Group>& groups) {
    for (const Group& group : groups) {
        out += fmt::format("\n[{}.\"{}\"]\n", key, group.name);
        if (!group.members.empty())
            out += fmt::format("chips = [\"{}\"]\n", fmt::join(group.members, "\", \""));
        if (group.launched > 0) out += fmt::format("launched = {}\n", group.launched);
        if (group.cores > 0) out += fmt::format("cores = {}\n", group.cores);
        out += fmt::format("rows = {}\n", group.rows);
        for (const auto& [which, effect] : group.effects)
            out += fmt::format("{} = [{:.6g}, {:.4g}]\n", name_of(which), effect.factor,
                               effect.spread);
    }
}

}  // namespace

Result<CostBook> CostBook::parse(std::string_view text, std::string_view name) {
    toml::table root;
    try {
        root = toml::parse(text, name);
    } catch (const toml::parse_error& problem) {
        const toml::source_position place = problem.source().begin;
        return Error{ErrorCode::kBadInput, std::string(problem.description()),
                     fmt::format("{}:{}:{}", name, place.line, place.column)};
    }
    if (root["schema"].value_or(std::string()) != "ascertain.cost/1")
        return Error{ErrorCode::kBadInput, "schema must be \"ascertain.cost/1\"",
                     std::string(name)};
    CostBook book;
    book.rows = root["rows"].value_or(std::int64_t{0});
    book.fitted_on = root["fitted_on"].value_or(std::string());
    if (const toml::array* ids = root["fitted_ids"].as_array())
        for (const toml::node& id : *ids) book.fitted_ids.push_back(id.value_or(std::string()));
    std::sort(book.fitted_ids.begin(), book.fitted_ids.end());
    const toml::table* global = root["global"].as_table();
    if (global == nullptr) return at(root, name, "section [global] is missing");
    for (const ConstantRow& row : constant_table()) {
        const toml::node* node = global->get(row.name);
        if (node == nullptr) return at(*global, name, fmt::format("\"{}\" is missing", row.name));
        const Result<Effect> effect = read_effect(*node, name);
        if (!effect) return effect.error();
        book.global[static_cast<std::size_t>(row.which)] = *effect;
    }
    for (const auto& [field, value] : *global)
        if (!constant_from(field.str()))
            return at(value, name,
                      fmt::format("unknown constant \"{}\"{}", field.str(),
                                  did_you_mean(field.str(), constant_names())));
    const toml::table* widths = root["interval"].as_table();
    if (widths == nullptr) return at(root, name, "section [interval] is missing");
    book.widths.known = (*widths)["known"].value_or(book.widths.known);
    book.widths.framework_unknown =
        (*widths)["framework_unknown"].value_or(book.widths.framework_unknown);
    book.widths.die_unknown = (*widths)["die_unknown"].value_or(book.widths.die_unknown);
    book.widths.experts = (*widths)["experts"].value_or(book.widths.experts);
    for (auto [key, groups] :
         {std::pair{"die", &book.dies}, std::pair{"framework", &book.frameworks},
          std::pair{"fabric", &book.fabrics}, std::pair{"release", &book.releases}}) {
        Result<std::vector<Group>> read = read_groups(root, key, name);
        if (!read) return read.error();
        *groups = std::move(read).value();
    }
    return book;
}

std::string CostBook::to_toml() const {
    std::string out =
        "# What turns shapes into seconds; written by tools/fit, meanings in "
        "src/predict/cost/constants.hpp.\n"
        "# A global constant is [value, log spread]; a die, framework or fabric has factors on "
        "it.\n"
        "schema = \"ascertain.cost/1\"\n";
    out += fmt::format("rows = {}\nfitted_on = \"{}\"\n", rows, fitted_on);
    out += "fitted_ids = [\n";
    for (const std::string& id : fitted_ids) out += fmt::format("  \"{}\",\n", id);
    out += "]\n\n[global]\n";
    for (const ConstantRow& row : constant_table()) {
        const Effect& effect = global[static_cast<std::size_t>(row.which)];
        out += fmt::format("{} = [{:.6g}, {:.4g}]  # {}\n", row.name, effect.factor, effect.spread,
                           row.unit);
    }
    out += fmt::format(
        "\n# Half-width of the 80 % interval in logarithms, from rows that the fit had not seen.\n"
        "[interval]\nknown = {:.4g}\nframework_unknown = {:.4g}\ndie_unknown = {:.4g}\nexperts = "
        "{:.4g}\n",
        widths.known, widths.framework_unknown, widths.die_unknown, widths.experts);
    write_groups(out, "die", dies);
    write_groups(out, "framework", frameworks);
    write_groups(out, "fabric", fabrics);
    write_groups(out, "release", releases);
    return out;
}

}  // namespace ascertain::cost
