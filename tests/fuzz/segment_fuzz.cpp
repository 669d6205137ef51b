// One line of a segment: it is a record whose hash fits, and then gives the same line again, or it
// is refused.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "decide/evidence/chain.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace ascertain;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    auto record = evidence::from_line(text, "x:1");
    if (!record) {
        if (record.error().code != ErrorCode::kEvidence) std::abort();
        // Under a hash that fits, everything behind the hash is reached too.
        const auto body = parse_json(text, "x");
        if (!body) return 0;
        evidence::Record made{1, "note", "", std::string(evidence::kChainStart), {}, *body};
        const auto line = evidence::to_line(made);
        if (!line) return 0;
        const auto back =
            evidence::from_line(std::string_view(*line).substr(0, line->size() - 1), "x");
        if (!back || back->hash != made.hash) std::abort();
    }
    return 0;
}
