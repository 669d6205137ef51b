#include "decide/judge/presence.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/device_name.hpp"

namespace ascertain::judge {
namespace {

bool is_simulated(std::string_view device) {
    const std::string_view member = local_part(device);
    return member == "simulated" || member.starts_with("simulated:");
}

std::string text_in(const Json& object, const char* key) {
    if (!object.is_object()) return {};
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// A chip may be named by its id or by the path of its file.
std::string id_of(const std::string& chip) {
    return std::filesystem::path(chip).stem().string();
}

std::vector<std::string> fleet_chips(const Json& campaign) {
    std::vector<std::string> chips;
    const auto add = [&](const std::string& chip) {
        if (!chip.empty()) chips.push_back(id_of(chip));
    };
    if (!campaign.is_object()) return chips;
    const auto fleets = campaign.find("fleets");
    if (fleets != campaign.end() && fleets->is_array()) {
        for (const auto& fleet : *fleets) add(text_in(fleet, "chip"));
    }
    add(text_in(campaign, "serving_chip"));
    return chips;
}

std::string plain(std::string_view name) {
    std::string letters;
    for (const char c : name) {
        if (c >= 'A' && c <= 'Z') letters += static_cast<char>(c - 'A' + 'a');
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) letters += c;
    }
    return letters;
}

// The last description of the device: what it was in the last session.
const Json* description_of(std::string_view device, const Json& descriptions) {
    const Json* found = nullptr;
    if (!descriptions.is_array()) return found;
    for (const auto& description : descriptions) {
        if (text_in(description, "device") == device) found = &description;
    }
    return found;
}

bool is_one_of(const Json& description, const std::vector<std::string>& chips) {
    const auto says = text_in(description, "chip");
    if (!says.empty()) return std::ranges::find(chips, says) != chips.end();
    const auto name = plain(text_in(description, "name"));
    return std::ranges::any_of(chips, [&](const std::string& chip) {
        const auto id = plain(chip);
        // Names of one or two letters would be found in anything.
        if (name.size() < 4 || id.size() < 4) return name == id && !id.empty();
        return name.find(id) != std::string::npos || id.find(name) != std::string::npos;
    });
}

}  // namespace

std::vector<std::string> members_of(std::string_view group) {
    std::vector<std::string> members;
    while (!group.empty()) {
        const auto comma = group.find(',');
        members.emplace_back(group.substr(0, comma));
        group = comma == std::string_view::npos ? "" : group.substr(comma + 1);
    }
    return members;
}

bool is_cpu(std::string_view group) {
    const auto members = members_of(group);
    return !members.empty() &&
           std::ranges::all_of(members, [](const auto& name) { return local_part(name) == "cpu"; });
}

Presence presence_of(const std::vector<std::string>& devices, const Json& descriptions,
                     const Json& campaign) {
    std::vector<std::string> accelerators;
    std::ranges::copy_if(devices, std::back_inserter(accelerators),
                         [](const auto& device) { return local_part(device) != "cpu"; });
    if (accelerators.empty() || std::ranges::any_of(devices, is_simulated)) {
        return {false,
                "no chip of the fleet was under test: the CPU and the simulated chip rehearse"};
    }
    const auto chips = fleet_chips(campaign);
    if (chips.empty()) return {true, "the campaign names no chip, so none can be qualified for it"};
    for (const auto& device : accelerators) {
        const Json* description = description_of(device, descriptions);
        if (description != nullptr && is_one_of(*description, chips)) continue;
        const auto name = description != nullptr ? text_in(*description, "name") : std::string();
        return {true, fmt::format("{} ({}) is not shown to be a chip of the fleet, which has {}",
                                  device, name.empty() ? "no name" : name, chips.front())};
    }
    return {true, ""};
}

}  // namespace ascertain::judge
