#include "app/situation.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "app/files.hpp"
#include "model/config.hpp"
#include "predict/catalog/load.hpp"

namespace ascertain::app {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kCampaignBytesMax = 1u << 20;
constexpr std::size_t kCatalogFileBytesMax = 1u << 20;
constexpr std::size_t kConfigBytesMax = 4u << 20;  // a config is a page; real ones have 2 kB

fs::path beside(const Campaign& campaign, const std::string& name) {
    return fs::path(campaign.path).parent_path() / name;
}

OwnFiles own_files(const Campaign& campaign) {
    OwnFiles own;
    const auto add = [&](std::vector<fs::path>& files, const std::string& name) {
        if (is_own_file(name)) files.push_back(beside(campaign, name));
    };
    for (const auto& fleet : campaign.fleets) {
        add(own.chips, fleet.chip);
        add(own.networks, fleet.network);
    }
    add(own.chips, campaign.serving.chip);
    add(own.networks, campaign.serving.network);
    return own;
}

// From here on a chip or network of the user's own goes by its id.
Result<void> name_by_id(Campaign& campaign) {
    const auto resolve = [&](std::string& name, auto id_of) -> Result<void> {
        if (!is_own_file(name)) return {};
        auto id = id_of(beside(campaign, name).string());
        if (!id) return id.error();
        name = *std::move(id);
        return {};
    };
    std::vector<std::string*> chips{&campaign.serving.chip};
    std::vector<std::string*> networks{&campaign.serving.network};
    for (auto& fleet : campaign.fleets) {
        chips.push_back(&fleet.chip);
        networks.push_back(&fleet.network);
    }
    for (auto* name : chips)
        if (auto named = resolve(*name, id_of_chip_file); !named) return named;
    for (auto* name : networks)
        if (auto named = resolve(*name, id_of_network_file); !named) return named;
    return {};
}

Result<std::vector<catalog::Fleet>> resolve_fleets(const catalog::Catalog& known,
                                                   const Campaign& campaign) {
    std::vector<catalog::Fleet> fleets;
    for (const auto& spec : campaign.fleets) {
        auto fleet = catalog::resolve_fleet(known, spec.chip, spec.count, spec.chips_per_node,
                                            spec.network, spec.spare_nodes);
        if (!fleet) {
            Error error = fleet.error();
            error.where = error.where.empty() ? campaign.path
                                              : fmt::format("{}: {}", campaign.path, error.where);
            return error;
        }
        fleets.push_back(*std::move(fleet));
    }
    return fleets;
}

std::string config_path(const std::string& named) {
    return fs::is_directory(named) ? (fs::path(named) / "config.json").string() : named;
}

}  // namespace

bool is_own_file(const std::string& name) {
    return name.ends_with(".toml");
}

Result<std::string> id_of_chip_file(const std::string& path) {
    const auto text = read_file(path, kCatalogFileBytesMax);
    if (!text) return text.error();
    const auto chip = catalog::parse_chip(*text, path);
    if (!chip) return chip.error();
    return chip->id;
}

Result<std::string> id_of_network_file(const std::string& path) {
    const auto text = read_file(path, kCatalogFileBytesMax);
    if (!text) return text.error();
    const auto network = catalog::parse_network(*text, path);
    if (!network) return network.error();
    return network->id;
}

Result<Situation> read_situation(const Home& home, const Overrides& overrides) {
    const std::string path =
        overrides.campaign.empty() ? home.data("campaigns/first-look.toml") : overrides.campaign;
    auto campaign_text = read_file(path, kCampaignBytesMax);
    if (!campaign_text) return campaign_text.error();
    auto campaign = read_campaign(*campaign_text, path);
    if (!campaign) return campaign.error();
    if (!overrides.model.empty()) campaign->model_config = overrides.model;
    campaign->model_config = config_path(campaign->model_config);

    auto config_text = read_file(campaign->model_config, kConfigBytesMax);
    if (!config_text) return config_text.error();
    auto architecture = model::read_config(*config_text, campaign->model_config);
    if (!architecture) return architecture.error();

    OwnFiles own = own_files(*campaign);
    auto known = catalog::load_catalog(home.root + "/data", own.chips, own.networks);
    if (!known) return known.error();
    if (auto named = name_by_id(*campaign); !named) return named.error();
    auto fleets = resolve_fleets(*known, *campaign);
    if (!fleets) return fleets.error();
    return Situation{*std::move(campaign),     *std::move(campaign_text), *std::move(config_text),
                     *std::move(architecture), *std::move(known),         std::move(own),
                     *std::move(fleets)};
}

}  // namespace ascertain::app
