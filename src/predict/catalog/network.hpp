// A fabric on paper: the links inside a scale-up domain, or the network between domains.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "predict/catalog/figure.hpp"

namespace ascertain::catalog {

enum class Topology {
    kSwitch,            // any subgroup gets the full rate of each chip
    kFullMesh,          // one direct link per pair: a subgroup of k chips gets k-1 links of n-1
    kHierarchicalMesh,  // meshes joined by switches
    kPartialMesh,       // direct links, uneven counts
    kTorus,
    kHypercube,
    kTree,  // PCIe-like: shared root
    kClos,  // fat tree, leaf-spine
    kDragonfly,
    kPointToPoint,
    kUnknown,
};

[[nodiscard]] std::string_view name_of(Topology topology);

struct NetworkMeasurement {
    std::string what;
    Figure<double> figure;
};

struct Network {
    std::string id;
    std::string name;
    std::vector<std::string> aliases;
    std::string scope;  // "scale-up", "scale-out", "host and peer" ...
    bool announced = false;
    Topology topology = Topology::kUnknown;
    std::string topology_text;
    bool in_network_reduction = false;
    std::string notes;
    Figure<BytesPerSecond> per_direction_per_chip;
    Figure<BytesPerSecond>
        point_to_point;     // one pair; equals per_direction_per_chip when not given
    Figure<double> domain;  // chips
    Figure<Seconds> latency;
    Figure<double> oversubscription;  // of the core; 1 = full bisection
    std::vector<NetworkMeasurement> measured;
};

// Reads one data/networks file; errors as parse_chip.
[[nodiscard]] Result<Network> parse_network(std::string_view text, std::string_view name);

}  // namespace ascertain::catalog
