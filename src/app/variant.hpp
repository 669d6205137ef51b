// The same campaign on another fleet or mix of fleets, written in one word:
//
//     h800-80gb-sxm               everything on this chip, as many as the campaign has
//     ascend-910b2:16384@roce-400 so many, on that network
//     a+b                         trains on a; b writes the answers of reinforcement learning,
//     serves a^b                         the first stage on a, all later ones on b a~b both train
//     every stage at once, each with its share of the batch
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "app/home.hpp"
#include "app/situation.hpp"
#include "base/result.hpp"

namespace ascertain::app {

enum class Mixing { kAlone, kServing, kByStage, kByShare };
[[nodiscard]] std::string_view name_of(Mixing mixing);

struct ChipCount {
    std::string chip;        // catalog id or alias, or a chip file
    std::int64_t count = 0;  // 0: as many as the campaign has (of a ~ mix: half of them)
    std::string network;     // empty: the scale-out network whose rate is nearest to the chip's
};

struct Variant {
    std::string text;  // as written
    Mixing mixing = Mixing::kAlone;
    std::vector<ChipCount> parts;  // one, or two in a mix
};

// kUsage saying what is wrong with `text`.
[[nodiscard]] Result<Variant> parse_variant(std::string_view text);

// The campaign with its fleets replaced. A chip that the campaign names keeps the campaign's words
// about it (network, price); for others these come from the catalog, and site matters (storage,
// restarts, share of spares) from the campaign's first fleet. `delivered` in (0, 1]: the share of
// the chips that arrives, in whole nodes. Errors: unknown chips and networks with near matches.
[[nodiscard]] Result<Situation> vary(const Home& home, const Situation& base,
                                     const Variant& variant, double delivered);

}  // namespace ascertain::app
