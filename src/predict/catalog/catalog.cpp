#include "predict/catalog/catalog.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/text.hpp"

namespace ascertain::catalog {
namespace {

template <typename Entry>
Result<Entry> find_in(const std::vector<Entry>& entries, std::string_view id,
                      std::string_view what) {
    for (const Entry& entry : entries)
        if (entry.id == id) return entry;
    std::vector<std::string> names;
    for (const Entry& entry : entries) {
        if (std::find(entry.aliases.begin(), entry.aliases.end(), id) != entry.aliases.end())
            return entry;
        names.push_back(entry.id);
        names.insert(names.end(), entry.aliases.begin(), entry.aliases.end());
    }
    return Error{ErrorCode::kBadInput,
                 fmt::format("unknown {} \"{}\"{}; `ascertain catalog list` "
                             "shows all, and a file of your own adds one",
                             what, shortened(id, 60), did_you_mean(id, names)),
                 ""};
}

template <typename Entry, typename Parse>
Result<std::vector<Entry>> read_all(const std::vector<SourceText>& texts, Parse parse) {
    std::map<std::string, Entry> by_id;
    for (const SourceText& source : texts) {
        Result<Entry> entry = parse(source.text, source.name);
        if (!entry) return entry.error();
        by_id.insert_or_assign(entry->id, *entry);
    }
    std::map<std::string, std::string> owner;
    for (const auto& [id, entry] : by_id) {
        for (const std::string& alias : entry.aliases) {
            const auto [place, fresh] = owner.emplace(alias, id);
            if (!fresh || by_id.contains(alias))
                return Error{ErrorCode::kBadInput,
                             fmt::format("alias \"{}\" leads to \"{}\" and to \"{}\"", alias, id,
                                         fresh ? alias : place->second),
                             ""};
        }
    }
    std::vector<Entry> entries;
    for (auto& [id, entry] : by_id) entries.push_back(std::move(entry));
    return entries;
}

// A figure outside [low, high] of anything ever built is a slip of units.
template <typename Q>
void check_range(const Figure<Q>& figure, double low, double high, const std::string& where,
                 std::vector<Error>& problems) {
    if (!figure.known()) return;
    const double value = figure.value->count;
    if (value < low || value > high)
        problems.push_back({ErrorCode::kBadInput,
                            fmt::format("{:.4g} is outside the plausible range {:.3g} to {:.3g}; "
                                        "check the unit",
                                        value, low, high),
                            where});
}

template <typename Q>
Figure<Q> divided(Figure<Q> figure, double parts) {
    const auto scale = [parts](std::optional<Q>& value) {
        if (value) value = *value / parts;
    };
    scale(figure.value);
    scale(figure.low);
    scale(figure.high);
    return figure;
}

}  // namespace

Result<Catalog> Catalog::from_texts(const std::vector<SourceText>& chips,
                                    const std::vector<SourceText>& networks) {
    Catalog catalog;
    auto read_chips = read_all<Chip>(chips, parse_chip);
    if (!read_chips) return read_chips.error();
    auto read_networks = read_all<Network>(networks, parse_network);
    if (!read_networks) return read_networks.error();
    catalog.chips_ = std::move(read_chips).value();
    catalog.networks_ = std::move(read_networks).value();
    return catalog;
}

Result<Chip> Catalog::find_chip(std::string_view id) const {
    return find_in(chips_, id, "chip");
}

Result<Network> Catalog::find_network(std::string_view id) const {
    return find_in(networks_, id, "network");
}

std::vector<Error> Catalog::validate() const {
    std::vector<Error> problems;
    for (const Chip& chip : chips_) {
        const std::string where = "chip " + chip.id + ": ";
        for (std::size_t i = 0; i < kFormatCount; ++i)
            check_range(chip.peak_dense[i], 1e12, 1e17,
                        where + "peak_dense." + std::string(name_of(static_cast<Format>(i))),
                        problems);
        check_range(chip.memory, 1e9, 2e12, where + "memory.capacity", problems);
        check_range(chip.memory_bandwidth, 1e10, 1e14, where + "memory.bandwidth", problems);
        check_range(chip.scale_up_per_direction, 1e9, 1e13, where + "scale_up.per_direction",
                    problems);
        check_range(chip.scale_out_per_chip, 1e9, 1e12, where + "scale_out.per_chip", problems);
        check_range(chip.power, 30.0, 5000.0, where + "power.board", problems);
        const Result<Network> network = find_network(chip.scale_up_network);
        if (!network)
            problems.push_back(
                {ErrorCode::kBadInput, network.error().message, where + "scale_up.network"});
    }
    for (const Network& network : networks_) {
        const std::string where = "network " + network.id + ": ";
        check_range(network.per_direction_per_chip, 1e9, 1e13, where + "per_direction_per_chip",
                    problems);
        check_range(network.latency, 1e-8, 1e-3, where + "latency", problems);
        if (network.point_to_point.known() && network.per_direction_per_chip.known() &&
            *network.point_to_point.value > *network.per_direction_per_chip.value)
            problems.push_back({ErrorCode::kBadInput,
                                "one pair cannot be faster than all links of a chip together",
                                where + "point_to_point"});
    }
    return problems;
}

Result<Fleet> resolve_fleet(const Catalog& catalog, std::string_view chip, std::int64_t count,
                            std::int64_t chips_per_node, std::string_view network,
                            std::int64_t spare_nodes) {
    if (count < 1 || chips_per_node < 1 || spare_nodes < 0)
        return Error{ErrorCode::kBadInput,
                     "count and chips_per_node must be at least 1, spare_nodes 0", "fleet"};
    if (count % chips_per_node != 0 && count > chips_per_node)
        return Error{
            ErrorCode::kBadInput,
            fmt::format("{} chips are no whole number of nodes of {}", count, chips_per_node),
            "fleet.count"};
    Result<Chip> found = catalog.find_chip(chip);
    if (!found) return Error{ErrorCode::kBadInput, found.error().message, "fleet.chip"};
    Result<Network> out = catalog.find_network(network);
    if (!out) return Error{ErrorCode::kBadInput, out.error().message, "fleet.network"};
    Result<Network> up = catalog.find_network(found->scale_up_network);
    if (!up) return Error{ErrorCode::kBadInput, up.error().message, "chip.scale_up.network"};
    return Fleet{std::move(found).value(),
                 std::move(up).value(),
                 std::move(out).value(),
                 count,
                 chips_per_node,
                 spare_nodes,
                 0};
}

Chip per_device(const Chip& package) {
    Chip chip = package;
    const double parts = package.devices_per_package.value.value_or(1.0);
    if (parts <= 1.0) return chip;
    for (Figure<FlopsPerSecond>& peak : chip.peak_dense) peak = divided(peak, parts);
    chip.memory = divided(chip.memory, parts);
    chip.memory_bandwidth = divided(chip.memory_bandwidth, parts);
    chip.scale_up_per_direction = divided(chip.scale_up_per_direction, parts);
    chip.scale_out_per_chip = divided(chip.scale_out_per_chip, parts);
    chip.power = divided(chip.power, parts);
    chip.purchase = divided(chip.purchase, parts);
    chip.rental_per_hour = divided(chip.rental_per_hour, parts);
    chip.achieved.rate = divided(chip.achieved.rate, parts);
    if (chip.scale_up_domain.value) *chip.scale_up_domain.value *= parts;
    chip.devices_per_package.value = 1.0;
    return chip;
}

double usable_link_share(const Network& scale_up, double group) {
    switch (scale_up.topology) {
        case Topology::kFullMesh:
        case Topology::kHierarchicalMesh:
        case Topology::kPartialMesh:
        case Topology::kTorus:
        case Topology::kHypercube: break;
        default: return 1.0;
    }
    if (group <= 1.0 || !scale_up.point_to_point.known() ||
        !scale_up.per_direction_per_chip.known())
        return 1.0;
    const double one_link = *scale_up.point_to_point.value / *scale_up.per_direction_per_chip.value;
    return std::min(1.0, (group - 1.0) * one_link);
}

}  // namespace ascertain::catalog
