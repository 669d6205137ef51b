#include "decide/judge/proofs.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.hpp"

namespace ascertain::judge {
namespace {

constexpr const char* kSchema = "ascertain.proofs/1";

}  // namespace

std::string Proof::hash() const {
    return short_hash(fmt::format("{}|{}|{}", check, key, fmt::join(caught, ",")));
}

const Proof* proof_of(const Proofs& proofs, std::string_view check) {
    for (const auto& proof : proofs) {
        const bool begins = check.starts_with(proof.check);
        const bool whole = check.size() == proof.check.size();
        if (begins && (whole || check[proof.check.size()] == '.')) return &proof;
    }
    return nullptr;
}

Result<Proofs> read_proofs(std::string_view text, std::string_view name) {
    const auto document = parse_json(text, name);
    if (!document) return document.error();
    Proofs proofs;
    try {
        if (document->at("schema") != kSchema) {
            return Error{ErrorCode::kBadInput, fmt::format("\"schema\" must be {}", kSchema),
                         std::string(name)};
        }
        for (const auto& entry : document->at("proofs")) {
            Proof proof;
            entry.at("check").get_to(proof.check);
            entry.at("key").get_to(proof.key);
            entry.at("caught").get_to(proof.caught);
            // A proof that caught nothing proves nothing.
            if (!proof.caught.empty()) proofs.push_back(std::move(proof));
        }
    } catch (const Json::exception& error) {
        return Error{ErrorCode::kBadInput, fmt::format("no proofs: {}", error.what()),
                     std::string(name)};
    }
    return proofs;
}

Json to_json(const Proofs& proofs) {
    Json document{{"schema", kSchema}, {"proofs", Json::array()}};
    for (const auto& proof : proofs) {
        document["proofs"].push_back(
            {{"check", proof.check}, {"key", proof.key}, {"caught", proof.caught}});
    }
    return document;
}

}  // namespace ascertain::judge
