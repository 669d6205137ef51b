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
constexpr std::size_t kConfigBytesMax = 4u << 20;  // a config is a page; real ones have 2 kB

// A chip or network written as a path is a file of the user's own.
bool is_path(const std::string& name) {
    return name.ends_with(".toml");
}

std::vector<fs::path> own_chip_files(const Campaign& campaign) {
    std::vector<fs::path> files;
    for (const auto& fleet : campaign.fleets) {
        if (is_path(fleet.chip))
            files.push_back(fs::path(campaign.path).parent_path() / fleet.chip);
    }
    return files;
}

// The id under which a user's chip file is found: the one it declares itself.
Result<std::string> chip_id(const FleetSpec& fleet, const Campaign& campaign) {
    if (!is_path(fleet.chip)) return fleet.chip;
    const fs::path path = fs::path(campaign.path).parent_path() / fleet.chip;
    const auto text = read_file(path.string(), kCampaignBytesMax);
    if (!text) return text.error();
    const auto chip = catalog::parse_chip(*text, path.string());
    if (!chip) return chip.error();
    return chip->id;
}

Result<std::vector<catalog::Fleet>> resolve_fleets(const catalog::Catalog& known,
                                                   const Campaign& campaign) {
    std::vector<catalog::Fleet> fleets;
    for (const auto& spec : campaign.fleets) {
        const auto chip = chip_id(spec, campaign);
        if (!chip) return chip.error();
        auto fleet = catalog::resolve_fleet(known, *chip, spec.count, spec.chips_per_node,
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

    auto known = catalog::load_catalog(home.root + "/data", own_chip_files(*campaign));
    if (!known) return known.error();
    auto fleets = resolve_fleets(*known, *campaign);
    if (!fleets) return fleets.error();
    return Situation{*std::move(campaign),     *std::move(campaign_text), *std::move(config_text),
                     *std::move(architecture), *std::move(known),         *std::move(fleets)};
}

}  // namespace ascertain::app
