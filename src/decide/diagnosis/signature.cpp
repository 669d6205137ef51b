#include "decide/diagnosis/signature.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace ascertain::diagnosis {
namespace {

constexpr const char* kSchema = "ascertain.signatures/1";
constexpr std::size_t kOfOneClass = 2;

// "ops.numerics" of "ops.numerics.mm": the first two parts of an id.
std::string family_of(const std::string& check) {
    const auto first = check.find('.');
    const auto second = first == std::string::npos ? first : check.find('.', first + 1);
    return check.substr(0, second);
}

// "mm" of "ops.numerics.mm"; empty where a check has no subject.
std::string subject_of(const std::string& check) {
    const std::string family = family_of(check);
    return check.size() > family.size() ? check.substr(family.size() + 1) : std::string();
}

// How much a trait tells: the rarer among the known, the more.
class Weights {
public:
    explicit Weights(const std::vector<Signature>& known)
        : count_(static_cast<double>(known.size())) {
        for (const auto& signature : known) {
            for (const auto& trait : signature) having_[trait] += 1.0;
        }
    }

    [[nodiscard]] double of(const std::string& trait) const {
        const auto found = having_.find(trait);
        const double having = found == having_.end() ? 0.0 : found->second;
        return std::log((count_ + 1.0) / (having + 0.5));
    }

private:
    double count_;
    std::map<std::string, double> having_;
};

// Weight of what both have over the weight of what either has.
double likeness(const Signature& left, const Signature& right, const Weights& weights) {
    double both = 0.0;
    double either = 0.0;
    for (const auto& trait : left) {
        either += weights.of(trait);
        if (right.contains(trait)) both += weights.of(trait);
    }
    for (const auto& trait : right) {
        if (!left.contains(trait)) either += weights.of(trait);
    }
    return either > 0.0 ? both / either : 0.0;
}

}  // namespace

Signature signature_of(const std::vector<Failure>& failures) {
    Signature signature;
    for (const auto& failure : failures) {
        const std::string family = family_of(failure.check);
        const std::string subject = subject_of(failure.check);
        signature.insert("check " + failure.check);
        signature.insert("family " + family);
        signature.insert(fmt::format("status {} {}", family, failure.status));
        if (!failure.criterion.empty()) signature.insert("criterion " + failure.criterion);
        if (!subject.empty()) signature.insert("operator " + subject);
    }
    return signature;
}

std::vector<Failure> failures_of(const std::vector<judge::CheckVerdict>& checks) {
    std::vector<Failure> failures;
    for (const auto& check : checks) {
        if (check.weight != judge::Weight::kFail) continue;
        failures.push_back(
            {check.id, std::string(judge::name_of(check.status)), check.criterion.id});
    }
    return failures;
}

std::vector<Cause> rank(const std::vector<Known>& known, const std::vector<Failure>& failures) {
    std::vector<Signature> signatures;
    for (const auto& one : known) signatures.push_back(signature_of(one.failures));
    const Weights weights(signatures);
    const Signature seen = signature_of(failures);
    std::vector<Cause> causes;
    for (std::size_t i = 0; i < known.size(); ++i) {
        const double like = likeness(signatures[i], seen, weights);
        if (like > 0.0) causes.push_back({&known[i], like});
    }
    std::ranges::stable_sort(causes, std::greater{}, &Cause::likeness);
    std::map<std::string, std::size_t> of_class;
    std::erase_if(
        causes, [&](const Cause& cause) { return ++of_class[cause.known->family] > kOfOneClass; });
    return causes;
}

Result<std::vector<Known>> read_matrix(std::string_view text, std::string_view name) {
    const auto document = parse_json(text, name);
    if (!document) return document.error();
    std::vector<Known> known;
    try {
        if (document->at("schema") != kSchema) {
            return Error{ErrorCode::kBadInput, fmt::format("\"schema\" must be {}", kSchema),
                         std::string(name)};
        }
        for (const auto& entry : document->at("defects")) {
            Known one;
            entry.at("id").get_to(one.id);
            entry.at("class").get_to(one.family);
            entry.at("summary").get_to(one.summary);
            entry.at("source").get_to(one.source);
            if (entry.at("remedy").is_string()) entry.at("remedy").get_to(one.remedy);
            for (const auto& failed : entry.at("failures")) {
                const auto& criterion = failed.at("criterion");
                one.failures.push_back({failed.at("check").get<std::string>(),
                                        failed.at("status").get<std::string>(),
                                        criterion.is_string() ? criterion.get<std::string>() : ""});
            }
            known.push_back(std::move(one));
        }
    } catch (const Json::exception& error) {
        return Error{ErrorCode::kBadInput,
                     fmt::format("not a matrix of signatures: {}", error.what()),
                     std::string(name)};
    }
    return known;
}

Json matrix_to_json(const std::vector<Known>& known) {
    Json document{{"schema", kSchema}, {"defects", Json::array()}};
    for (const auto& one : known) {
        Json failures = Json::array();
        for (const auto& failure : one.failures) {
            failures.push_back(
                {{"check", failure.check},
                 {"status", failure.status},
                 {"criterion", failure.criterion.empty() ? Json() : Json(failure.criterion)}});
        }
        document["defects"].push_back({{"id", one.id},
                                       {"class", one.family},
                                       {"summary", one.summary},
                                       {"source", one.source},
                                       {"remedy", one.remedy.empty() ? Json() : Json(one.remedy)},
                                       {"failures", std::move(failures)}});
    }
    return document;
}

}  // namespace ascertain::diagnosis
