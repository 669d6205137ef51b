#include "predict/catalog/network.hpp"

#include <fmt/format.h>

#include <array>

#include "base/text.hpp"
#include "predict/catalog/toml_reader.hpp"

namespace ascertain::catalog {
namespace {

constexpr std::array<std::string_view, 11> kTopologyNames{
    "switch", "full_mesh", "hierarchical_mesh", "partial_mesh",   "torus",  "hypercube",
    "tree",   "clos",      "dragonfly",         "point_to_point", "unknown"};

Topology read_topology(TomlReader& reader, const toml::table& root) {
    const std::string word = reader.text(root, "topology", true);
    for (std::size_t i = 0; i < kTopologyNames.size(); ++i)
        if (kTopologyNames[i] == word) return static_cast<Topology>(i);
    const std::vector<std::string> names(kTopologyNames.begin(), kTopologyNames.end());
    if (!reader.failed())
        reader.fail(*root.get("topology"),
                    fmt::format("unknown topology \"{}\"{}", word, did_you_mean(word, names)));
    return Topology::kUnknown;
}

}  // namespace

std::string_view name_of(Topology topology) {
    return kTopologyNames[static_cast<std::size_t>(topology)];
}

Result<Network> parse_network(std::string_view text, std::string_view name) {
    TomlReader reader(text, name);
    if (reader.failed()) return reader.error();
    const toml::table& root = reader.root();
    reader.allow(root, "",
                 {"schema", "id", "name", "aliases", "scope", "announced", "topology",
                  "topology_text", "in_network_reduction", "notes", "per_direction_per_chip",
                  "point_to_point", "domain", "latency", "oversubscription", "measured"});
    Network network;
    if (reader.text(root, "schema", true) != "ascertain.network/1")
        reader.fail(root, "schema must be \"ascertain.network/1\"");
    network.id = reader.text(root, "id", true);
    network.name = reader.text(root, "name", true);
    network.aliases = reader.texts(root, "aliases");
    network.scope = reader.text(root, "scope", true);
    network.announced = reader.flag(root, "announced");
    network.topology = read_topology(reader, root);
    network.topology_text = reader.text(root, "topology_text", false);
    network.in_network_reduction = reader.flag(root, "in_network_reduction");
    network.notes = reader.text(root, "notes", false);
    network.per_direction_per_chip =
        reader.quantity<BytesPerSecond>(root, "per_direction_per_chip", "bytes_per_second", true);
    network.point_to_point =
        root.contains("point_to_point")
            ? reader.quantity<BytesPerSecond>(root, "point_to_point", "bytes_per_second", true)
            : network.per_direction_per_chip;
    network.domain = reader.figure(root, "domain", "count", true);
    network.latency = reader.quantity<Seconds>(root, "latency", "seconds", true);
    network.oversubscription = reader.figure(root, "oversubscription", "ratio", false);
    for (const toml::table* entry : reader.sections("measured")) {
        reader.allow(*entry, "measured", {"what", "figure"});
        network.measured.push_back(
            {reader.text(*entry, "what", true), reader.figure(*entry, "figure", "", true)});
    }
    if (reader.failed()) return reader.error();
    return network;
}

}  // namespace ascertain::catalog
