#include "app/prove/shipped.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "app/files.hpp"
#include "app/prove/keys.hpp"
#include "app/prove/page.hpp"
#include "base/text.hpp"
#include "decide/diagnosis/signature.hpp"

namespace ascertain::app {
namespace {

constexpr std::size_t kProofsBytesMax = 16u << 20;
constexpr const char* kProofsFile = "proofs/proofs.json";
constexpr const char* kSignaturesFile = "proofs/signatures.json";

std::string conditions_of(const judge::CriterionRule& rule) {
    std::string text;
    for (const auto& condition : rule.when) {
        text += fmt::format("{}{}{}{}{};", condition.metric, condition.absent, condition.or_absent,
                            condition.at_most.value_or(0.0), condition.above.value_or(0.0));
    }
    return text;
}

bool concerns(const judge::CriterionRule& rule, std::string_view id) {
    return rule.check.starts_with(id) || matches_wildcard(id, rule.check);
}

judge::Proofs all_shipped(const Home& home) {
    const std::string path = home.data(kProofsFile);
    const auto text = read_file(path, kProofsBytesMax);
    if (!text) return {};
    auto proofs = judge::read_proofs(*text, path);
    return proofs ? *std::move(proofs) : judge::Proofs{};
}

bool holds(const judge::Proof& proof, const judge::CriteriaSet& criteria) {
    const auto* definition = checks::find(proof.check);
    return definition != nullptr && definition->id == proof.check &&
           proof_key(*definition, criteria) == proof.key;
}

judge::Proofs proofs_of(const ProofResults& results, const judge::CriteriaSet& criteria) {
    judge::Proofs proofs;
    for (const auto& definition : checks::all()) {
        judge::Proof proof{std::string(definition.id), proof_key(definition, criteria), {}};
        for (const auto& result : results.defects) {
            const bool caught = std::ranges::any_of(result.caught_by, [&](const auto& failed) {
                return checks::find(failed.check) == &definition;
            });
            if (caught) proof.caught.push_back(result.id);
        }
        if (!proof.caught.empty()) proofs.push_back(std::move(proof));
    }
    return proofs;
}

std::vector<diagnosis::Known> matrix_of(const ProofResults& results,
                                        const std::vector<CataloguedDefect>& defects) {
    std::vector<diagnosis::Known> known;
    for (const auto& result : results.defects) {
        const auto entry = std::ranges::find(defects, result.id, &CataloguedDefect::id);
        if (!result.caught || entry == defects.end()) continue;
        diagnosis::Known one{result.id,     result.family, entry->summary,
                             entry->source, entry->remedy, {}};
        for (const auto& failed : result.caught_by) {
            one.failures.push_back({failed.check, failed.status, failed.criterion});
        }
        known.push_back(std::move(one));
    }
    return known;
}

}  // namespace

std::string proof_key(const checks::Definition& definition, const judge::CriteriaSet& criteria) {
    std::string text = definition_hash(definition);
    for (const auto& rule : criteria.rules()) {
        if (!concerns(rule, definition.id)) continue;
        text += fmt::format("|{} {} {} {}", rule.id, rule.check, conditions_of(rule),
                            judge::to_criterion(rule).bound.dump());
    }
    return short_hash(text);
}

judge::Proofs shipped_proofs(const Home& home, const judge::CriteriaSet& criteria) {
    judge::Proofs proofs = all_shipped(home);
    std::erase_if(proofs, [&](const auto& proof) { return !holds(proof, criteria); });
    return proofs;
}

std::vector<std::string> stale_proofs(const Home& home, const judge::CriteriaSet& criteria) {
    std::vector<std::string> stale;
    for (const auto& proof : all_shipped(home)) {
        if (!holds(proof, criteria)) stale.push_back(proof.check);
    }
    return stale;
}

Result<void> write_shipped(const Home& home, const judge::CriteriaSet& criteria,
                           const std::vector<CataloguedDefect>& defects,
                           const ProofResults& results) {
    const auto matrix = matrix_of(results, defects);
    const std::vector<std::pair<std::string, std::string>> files{
        {home.data(kProofsFile), judge::to_json(proofs_of(results, criteria)).dump(1) + "\n"},
        {home.data(kSignaturesFile), diagnosis::matrix_to_json(matrix).dump(1) + "\n"}};
    for (const auto& [path, text] : files) {
        if (const auto written = write_file(path, text); !written) return written;
    }
    return write_page(detection_page(home), results,
                      diagnosis::leave_one_out(matrix, kCausesNamed));
}

}  // namespace ascertain::app
