// What is to be decided, with every name resolved: the campaign, its model, its fleets. Nothing
// here depends on a device.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/campaign.hpp"
#include "app/home.hpp"
#include "base/result.hpp"
#include "model/architecture.hpp"
#include "predict/catalog/catalog.hpp"

namespace ascertain::app {

// Chip and network files of the user's own, as paths that open from here.
struct OwnFiles {
    std::vector<std::filesystem::path> chips;
    std::vector<std::filesystem::path> networks;
};

// The id that such a file declares itself, by which the catalog then knows it.
[[nodiscard]] Result<std::string> id_of_chip_file(const std::string& path);
[[nodiscard]] Result<std::string> id_of_network_file(const std::string& path);
// Whether a campaign's or a flag's word for a chip or network is such a file.
[[nodiscard]] bool is_own_file(const std::string& name);

struct Situation {
    Campaign campaign;
    std::string campaign_text;
    std::string config_text;  // the Hugging Face config.json
    model::Architecture architecture;
    catalog::Catalog catalog;
    OwnFiles own;                        // in the catalog beside ours
    std::vector<catalog::Fleet> fleets;  // in the order of campaign.fleets
};

// What the command line may put in place of the campaign's own words; empty: as the campaign says.
struct Overrides {
    std::string campaign;  // path; empty: data/campaigns/first-look.toml
    std::string model;     // config.json or the folder that holds it
};

// Reads the campaign, the model's config and the catalog. Errors: kBadInput naming file and place.
[[nodiscard]] Result<Situation> read_situation(const Home& home, const Overrides& overrides);

}  // namespace ascertain::app
