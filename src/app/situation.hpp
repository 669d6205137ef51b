// What is to be decided, with every name resolved: the campaign, its model, its fleets. Nothing
// here depends on a device.
#pragma once

#include <string>
#include <vector>

#include "app/campaign.hpp"
#include "app/home.hpp"
#include "base/result.hpp"
#include "model/architecture.hpp"
#include "predict/catalog/catalog.hpp"

namespace ascertain::app {

struct Situation {
    Campaign campaign;
    std::string campaign_text;
    std::string config_text;  // the Hugging Face config.json
    model::Architecture architecture;
    catalog::Catalog catalog;
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
