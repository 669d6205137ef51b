// Criteria and waivers from anywhere: every error has a place, every set that reads well can be
// asked for its opinion and names its hash.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "decide/judge/criteria.hpp"
#include "decide/judge/opinion.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace ascertain;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::vector<judge::CriteriaText> files{{"x.toml", std::string(text)}};
    const auto criteria = judge::CriteriaSet::parse(files);
    if (!criteria && criteria.error().where.empty()) std::abort();
    if (criteria) {
        static_cast<void>(criteria->hash());
        const Observation nothing;
        // Nothing observed can meet no bound.
        if (judge::opinion(*criteria, "ops.numerics.mm", nothing).holds == judge::Holds::kMet) {
            std::abort();
        }
        const Observation broken{{"error_ratio", std::nan(""), "ratio", 1, {}, {}, ""}};
        static_cast<void>(judge::opinion(*criteria, "ops.numerics.mm", broken));
    }
    const auto waivers = judge::parse_waivers(text, "w.toml");
    if (!waivers && waivers.error().where.empty()) std::abort();
    return 0;
}
