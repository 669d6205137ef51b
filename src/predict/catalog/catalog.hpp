// All chips and networks that are known, found by id or alias, and fleets of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "predict/catalog/chip.hpp"
#include "predict/catalog/network.hpp"

namespace ascertain::catalog {

// One catalog file that was read already; `name` is its path, for errors.
struct SourceText {
    std::string name;
    std::string text;
};

class Catalog {
public:
    // A later file with the same id replaces an earlier one: a user's file overrides ours.
    // kBadInput when one alias leads to two ids.
    [[nodiscard]] static Result<Catalog> from_texts(const std::vector<SourceText>& chips,
                                                    const std::vector<SourceText>& networks);

    // By id or alias; kBadInput with near matches otherwise.
    [[nodiscard]] Result<Chip> find_chip(std::string_view id) const;
    [[nodiscard]] Result<Network> find_network(std::string_view id) const;

    // In the order of their ids.
    [[nodiscard]] const std::vector<Chip>& chips() const { return chips_; }
    [[nodiscard]] const std::vector<Network>& networks() const { return networks_; }

    // What is wrong across files: a chip whose network is missing, a printed rate that contradicts
    // its network's, an implausible peak or bandwidth. Empty when nothing is.
    [[nodiscard]] std::vector<Error> validate() const;

private:
    std::vector<Chip> chips_;
    std::vector<Network> networks_;
};

// How many chips, how joined. Counts are devices as software sees them unless `chip` says
// otherwise; see per_device().
struct Fleet {
    Chip chip;
    Network scale_up;
    Network scale_out;
    std::int64_t count = 0;
    std::int64_t chips_per_node = 8;
    std::int64_t spare_nodes = 0;
    std::int64_t full_bisection_devices =
        0;  // beyond so many the core is oversubscribed; 0: always
};

// A fleet from catalog ids. `network` is the scale-out fabric. kBadInput for unknown ids, counts
// below 1, chips_per_node that does not divide count.
[[nodiscard]] Result<Fleet> resolve_fleet(const Catalog& catalog, std::string_view chip,
                                          std::int64_t count, std::int64_t chips_per_node,
                                          std::string_view network, std::int64_t spare_nodes);

// The chip as software sees it: a package of two dies becomes one die, with half of the peak,
// memory, bandwidth, links, power and price. A chip of one device is returned unchanged.
[[nodiscard]] Chip per_device(const Chip& package);

// Share of a chip's scale-up rate that a group of `group` chips can use: 1 on a switch. Where links
// are direct (meshes, tori) a group has only its own links: min(1, (group - 1) * one link / all
// links), which on a full mesh of n chips is (group - 1) / (n - 1).
[[nodiscard]] double usable_link_share(const Network& scale_up, double group);

}  // namespace ascertain::catalog
