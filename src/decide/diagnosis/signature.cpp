#include "decide/diagnosis/signature.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace ascertain::diagnosis {
namespace {

constexpr const char* kSchema = "ascertain.signatures/1";
// A class is as likely as its nearest members say together: the first counts whole, the second
// half.
constexpr double kNext = 0.5;

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

// The cosine of the two as vectors of weights, the usual likeness of documents.
double likeness(const Signature& left, const Signature& right, const Weights& weights) {
    const auto square = [&](const std::string& trait) {
        const double weight = weights.of(trait);
        return weight * weight;
    };
    double both = 0.0;
    double of_left = 0.0;
    double of_right = 0.0;
    for (const auto& trait : left) {
        of_left += square(trait);
        if (right.contains(trait)) both += square(trait);
    }
    for (const auto& trait : right) of_right += square(trait);
    return both > 0.0 ? both / std::sqrt(of_left * of_right) : 0.0;
}

// The nearest of every class, the likeliest class first.
std::vector<Cause> best_of_classes(std::vector<Cause> causes) {
    std::ranges::stable_sort(causes, std::greater{}, &Cause::likeness);
    struct Class {
        Cause best;
        double score = 0.0;
        double weight = 1.0;  // of the next member
    };
    std::map<std::string, Class> classes;
    for (const Cause& cause : causes) {
        Class& one = classes.try_emplace(cause.known->family, Class{cause, 0.0, 1.0}).first->second;
        one.score += one.weight * cause.likeness;
        one.weight *= kNext;
    }
    std::vector<Class> order;
    for (auto& [name, one] : classes) order.push_back(one);
    std::ranges::stable_sort(order, std::greater{}, &Class::score);
    std::vector<Cause> best;
    for (const Class& one : order) best.push_back(one.best);
    return best;
}

}  // namespace

Signature signature_of(const std::vector<Failure>& failures) {
    Signature signature;
    std::map<std::string, int> failed;  // checks of a family
    for (const auto& failure : failures) {
        const std::string family = family_of(failure.check);
        const std::string subject = subject_of(failure.check);
        signature.insert("check " + failure.check);
        signature.insert("family " + family);
        signature.insert("status " + failure.status);
        signature.insert(fmt::format("status {} {}", family, failure.status));
        signature.insert(fmt::format("status {} {}", failure.check, failure.status));
        ++failed[family];
        if (!failure.criterion.empty()) signature.insert("criterion " + failure.criterion);
        if (!subject.empty()) signature.insert("operator " + subject);
    }
    // One operator alone, a few, or all of them: to the next power of two.
    for (const auto& [family, count] : failed) {
        signature.insert(fmt::format("count {} {}", family, std::ilogb(count)));
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
    return best_of_classes(std::move(causes));
}

LeaveOneOut leave_one_out(const std::vector<Known>& known, std::size_t first) {
    LeaveOneOut result;
    for (std::size_t i = 0; i < known.size(); ++i) {
        if (known[i].failures.empty()) continue;
        std::vector<Known> others = known;
        others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
        std::string named;
        bool found = false;
        std::size_t place = 0;
        for (const Cause& cause : rank(others, known[i].failures)) {
            if (place++ == first) break;
            found = found || cause.known->family == known[i].family;
            named += (named.empty() ? "" : ", ") + cause.known->family;
        }
        ++result.asked;
        result.named += found ? 1 : 0;
        if (found) continue;
        result.missed.push_back(fmt::format("{} ({}): {}", known[i].id, known[i].family, named));
    }
    return result;
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
