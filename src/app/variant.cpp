#include "app/variant.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <limits>

#include "predict/catalog/load.hpp"

namespace ascertain::app {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t kCountMax = 100'000'000;
constexpr std::string_view kMixers = "+^~";

Mixing mixing_of(char mixer) {
    switch (mixer) {
        case '+': return Mixing::kServing;
        case '^': return Mixing::kByStage;
        default: return Mixing::kByShare;
    }
}

Error unclear(std::string_view text, std::string why) {
    return {ErrorCode::kUsage,
            fmt::format("\"{}\": {}; write chip, chip:count, chip@network, or a mix of two: a+b, "
                        "a^b, a~b",
                        text, why),
            "--chips"};
}

Result<ChipCount> parse_part(std::string_view part, std::string_view text) {
    ChipCount result;
    if (const auto at = part.rfind('@'); at != std::string_view::npos) {
        result.network = part.substr(at + 1);
        part = part.substr(0, at);
        if (result.network.empty()) return unclear(text, "no network stands behind the @");
    }
    if (const auto colon = part.rfind(':'); colon != std::string_view::npos) {
        const std::string_view digits = part.substr(colon + 1);
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), result.count);
        if (error != std::errc() || end != digits.data() + digits.size() || result.count < 1 ||
            result.count > kCountMax) {
            return unclear(
                text, fmt::format("\"{}\" is no number of chips from 1 to {}", digits, kCountMax));
        }
        part = part.substr(0, colon);
    }
    if (part.empty()) return unclear(text, "a chip is missing");
    result.chip = part;
    return result;
}

// A file is looked for where the command was given, then beside the campaign.
std::string own_path(const std::string& named, const Situation& base) {
    if (fs::exists(named)) return named;
    return (fs::path(base.campaign.path).parent_path() / named).string();
}

// The ids of what a part names, files of the user's own among them, which then are in the catalog.
Result<ChipCount> add_own(const Home& home, const Situation& base, Situation& varied,
                          ChipCount part) {
    const bool own_chip = is_own_file(part.chip);
    const bool own_network = is_own_file(part.network);
    if (own_chip) {
        varied.own.chips.emplace_back(own_path(part.chip, base));
        auto id = id_of_chip_file(varied.own.chips.back().string());
        if (!id) return id.error();
        part.chip = *std::move(id);
    }
    if (own_network) {
        varied.own.networks.emplace_back(own_path(part.network, base));
        auto id = id_of_network_file(varied.own.networks.back().string());
        if (!id) return id.error();
        part.network = *std::move(id);
    }
    if (own_chip || own_network) {
        auto known =
            catalog::load_catalog(home.root + "/data", varied.own.chips, varied.own.networks);
        if (!known) return known.error();
        varied.catalog = *std::move(known);
    }
    const auto found = varied.catalog.find_chip(part.chip);
    if (!found) return Error{found.error().code, found.error().message, "--chips"};
    part.chip = found->id;
    return part;
}

// The scale-out network whose rate is nearest to what the chip's ports carry; among equals Ethernet
// before others, since every vendor's chips go with it.
Result<std::string> network_for(const catalog::Catalog& known, const catalog::Chip& chip) {
    if (!chip.scale_out_per_chip.known()) {
        return Error{ErrorCode::kUnknownValue,
                     fmt::format("nobody says what {}'s ports carry: name its network, {}@roce-400",
                                 chip.id, chip.id),
                     "--chips"};
    }
    const double rate = chip.scale_out_per_chip.value->count;
    std::string best;
    double nearest = std::numeric_limits<double>::infinity();
    for (const auto& network : known.networks()) {
        if (network.scope != "scale-out" || !network.per_direction_per_chip.known()) continue;
        double distance = std::abs(std::log(network.per_direction_per_chip.value->count / rate));
        if (!network.id.starts_with("roce")) distance += 1e-3;
        if (distance >= nearest) continue;
        nearest = distance;
        best = network.id;
    }
    return best;
}

// What the campaign says of this chip, if it names it.
const FleetSpec* named_in(const Situation& base, const std::string& chip) {
    for (std::size_t i = 0; i < base.fleets.size(); ++i) {
        if (base.fleets[i].chip.id == chip) return &base.campaign.fleets[i];
    }
    return nullptr;
}

std::int64_t whole_nodes(double chips, std::int64_t chips_per_node) {
    const auto nodes = static_cast<std::int64_t>(chips / static_cast<double>(chips_per_node));
    return std::max<std::int64_t>(nodes, 1) * chips_per_node;
}

Result<FleetSpec> fleet_for(const Situation& base, const catalog::Catalog& known,
                            const ChipCount& part, double share) {
    const std::string& chip = part.chip;
    const FleetSpec& first = base.campaign.fleets.front();
    const FleetSpec* named = named_in(base, chip);
    FleetSpec spec = named != nullptr ? *named : first;
    spec.chip = chip;
    if (named == nullptr) {
        spec.price_per_chip_hour.reset();
        const auto found = known.find_chip(chip);
        const double domain = found->scale_up_domain.value.value_or(8.0);
        if (domain < static_cast<double>(spec.chips_per_node))
            spec.chips_per_node = std::max<std::int64_t>(1, std::llround(domain));
        if (part.network.empty()) {
            auto network = network_for(known, *found);
            if (!network) return network.error();
            spec.network = *std::move(network);
        }
    }
    if (!part.network.empty()) spec.network = part.network;
    const double spares_per_chip =
        static_cast<double>(spec.spare_nodes) / static_cast<double>(spec.count);
    if (part.count > 0 && part.count % spec.chips_per_node != 0) {
        return Error{
            ErrorCode::kUsage,
            fmt::format("{} chips do not fill nodes of {}", part.count, spec.chips_per_node),
            "--chips"};
    }
    const auto wanted = static_cast<double>(part.count > 0 ? part.count : spec.count);
    spec.count = whole_nodes(wanted * share, spec.chips_per_node);
    spec.spare_nodes = std::llround(spares_per_chip * static_cast<double>(spec.count));
    return spec;
}

void put_stages(Campaign& campaign, Mixing mixing) {
    for (std::size_t i = 0; i < campaign.stages.size(); ++i) {
        Stage& stage = campaign.stages[i];
        stage.fleet = campaign.fleets.front().name;
        stage.rollout_fleet.clear();
        stage.shared_fleet.clear();
        if (mixing == Mixing::kAlone) continue;
        const std::string& other = campaign.fleets.back().name;
        if (mixing == Mixing::kServing && stage.kind == StageKind::kGrpo)
            stage.rollout_fleet = other;
        if (mixing == Mixing::kByStage && i > 0) stage.fleet = other;
        if (mixing == Mixing::kByShare) stage.shared_fleet = other;
    }
    const bool served_by_second = mixing == Mixing::kServing || mixing == Mixing::kByStage;
    const FleetSpec& serves = served_by_second ? campaign.fleets.back() : campaign.fleets.front();
    campaign.serving.chip = serves.chip;
    campaign.serving.network = serves.network;
    campaign.serving.chips_per_node = serves.chips_per_node;
}

}  // namespace

std::string_view name_of(Mixing mixing) {
    switch (mixing) {
        case Mixing::kAlone: return "alone";
        case Mixing::kServing: return "train+serve";
        case Mixing::kByStage: return "by_stage";
        case Mixing::kByShare: return "by_share";
    }
    ASCERTAIN_ASSERT(false);
}

Result<Variant> parse_variant(std::string_view text) {
    Variant variant{std::string(text), Mixing::kAlone, {}};
    const auto mixer = text.find_first_of(kMixers);
    if (mixer == std::string_view::npos) {
        auto part = parse_part(text, text);
        if (!part) return part.error();
        variant.parts.push_back(*std::move(part));
        return variant;
    }
    variant.mixing = mixing_of(text[mixer]);
    for (const auto piece : {text.substr(0, mixer), text.substr(mixer + 1)}) {
        if (piece.find_first_of(kMixers) != std::string_view::npos)
            return unclear(text, "a mix has two chips");
        auto part = parse_part(piece, text);
        if (!part) return part.error();
        variant.parts.push_back(*std::move(part));
    }
    return variant;
}

Result<Situation> vary(const Home& home, const Situation& base, const Variant& variant,
                       double delivered) {
    ASCERTAIN_ASSERT(delivered > 0.0 && delivered <= 1.0);
    Situation varied = base;
    varied.campaign.fleets.clear();
    varied.fleets.clear();
    const bool halves = variant.mixing == Mixing::kByShare;
    for (const ChipCount& named : variant.parts) {
        const auto part = add_own(home, base, varied, named);
        if (!part) return part.error();
        const double share = delivered * (halves && part->count == 0 ? 0.5 : 1.0);
        auto spec = fleet_for(base, varied.catalog, *part, share);
        if (!spec) return spec.error();
        spec->name = varied.campaign.fleets.empty() ? "first" : "second";
        varied.campaign.fleets.push_back(*std::move(spec));
    }
    for (const FleetSpec& spec : varied.campaign.fleets) {
        auto fleet = catalog::resolve_fleet(varied.catalog, spec.chip, spec.count,
                                            spec.chips_per_node, spec.network, spec.spare_nodes);
        if (!fleet) return fleet.error();
        varied.fleets.push_back(*std::move(fleet));
    }
    put_stages(varied.campaign, variant.mixing);
    return varied;
}

}  // namespace ascertain::app
