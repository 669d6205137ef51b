#include "measure/qualification/survey.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "measure/checks/cases.hpp"

namespace ascertain::qualification {
namespace {

struct FamilyWord {
    std::string_view word;  // found anywhere in the operator's name
    std::string_view family;
};

// The first word that fits decides; what none fits is elementwise.
constexpr std::array kFamilyWords{
    FamilyWord{"attention", "attention"},
    FamilyWord{"adam", "optimizer"},
    FamilyWord{"foreach", "optimizer"},
    FamilyWord{"dropout", "random"},
    FamilyWord{"rand", "random"},
    FamilyWord{"bernoulli", "random"},
    FamilyWord{"embedding", "index"},
    FamilyWord{"index", "index"},
    FamilyWord{"gather", "index"},
    FamilyWord{"scatter", "index"},
    FamilyWord{"topk", "index"},
    FamilyWord{"sort", "index"},
    FamilyWord{"bincount", "index"},
    FamilyWord{"grouped_mm", "gemm"},
    FamilyWord{"softmax", "loss"},
    FamilyWord{"nll_loss", "loss"},
    FamilyWord{"cross_entropy", "loss"},
    FamilyWord{"logsumexp", "loss"},
    FamilyWord{"norm", "norm"},
    FamilyWord{"linear", "gemm"},
    FamilyWord{"matmul", "gemm"},
    FamilyWord{"addmm", "gemm"},
    FamilyWord{"bmm", "gemm"},
};

Error broken(std::string what) {
    return {ErrorCode::kInternal, "capture: " + std::move(what), {}};
}

double number_or_zero(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_number() ? found->get<double>() : 0.0;
}

double importance(const Json& operator_case) {
    const double count = std::max(1.0, number_or_zero(operator_case, "count"));
    return count * (1.0 + checks::elements_of(operator_case));
}

// The cases of one operator, one of each kind (phase and dtype) before a second of any, the often
// called and large ones first; so that a budget that ends early has still seen every kind.
Json ranked(std::vector<const Json*> cases) {
    std::stable_sort(cases.begin(), cases.end(), [](const Json* left, const Json* right) {
        return importance(*left) > importance(*right);
    });
    std::map<std::string, std::size_t> seen;
    std::vector<std::pair<std::size_t, const Json*>> rounds;
    for (const Json* one : cases) {
        const std::string label = checks::case_label(*one);
        const std::string kind = one->value("phase", "") + label.substr(0, label.find('['));
        rounds.emplace_back(seen[kind]++, one);
    }
    std::stable_sort(rounds.begin(), rounds.end(),
                     [](const auto& left, const auto& right) { return left.first < right.first; });
    Json result = Json::array();
    for (const auto& [round, one] : rounds) result.push_back(*one);
    return result;
}

struct Gathered {
    double share = 0.0;
    double count = 0.0;
    std::vector<std::string> case_ids;
    std::string without_case;
};

Result<std::map<std::string, Gathered>> gather(const Json& operators) {
    std::map<std::string, Gathered> result;
    for (const Json& entry : operators) {
        const auto name = text_at(entry, "name", "operators");
        if (!name) return broken(name.error().text());
        if (!entry.value("compute", true)) continue;
        Gathered& gathered = result[checks::operator_name(*name)];
        gathered.share += number_or_zero(entry, "share_of_step");
        gathered.count += number_or_zero(entry, "count");
        const auto ids = entry.find("case_ids");
        if (ids != entry.end() && ids->is_array()) {
            for (const Json& id : *ids) {
                if (id.is_string()) gathered.case_ids.push_back(id.get<std::string>());
            }
        }
        const auto reason = entry.find("without_case_reason");
        if (reason != entry.end() && reason->is_string()) gathered.without_case = *reason;
    }
    return result;
}

}  // namespace

Json capture_params(const SurveyQuestion& question) {
    return {{"architecture", question.architecture},
            {"sequences", question.sequences},
            {"sequence_length", question.sequence_length},
            {"dtype", question.dtype},
            {"optimizer", "adamw"},
            {"seed", question.seed},
            {"keep_time_shares", true},
            {"generation", true},
            {"autocast", question.autocast}};
}

Result<Survey> read_survey(Json capture, const Json& result) {
    for (const char* key : {"cases", "operators", "gemms"}) {
        const auto found = result.find(key);
        if (found == result.end() || !found->is_array()) return broken(fmt::format("no {}", key));
    }
    const auto gathered = gather(result["operators"]);
    if (!gathered) return gathered.error();
    if (gathered->empty()) return broken("no operator that computes");

    std::map<std::string, const Json*> by_id;
    for (const Json& one : result["cases"]) by_id.emplace(checks::case_id(one), &one);
    Survey survey{.capture = std::move(capture),
                  .operators = result["operators"],
                  .cases = result["cases"],
                  .gemms = result["gemms"],
                  .step = {number_or_zero(result, "step_s")},
                  .subjects = {}};
    for (const auto& [name, one] : *gathered) {
        std::vector<const Json*> cases;
        for (const std::string& id : one.case_ids) {
            const auto found = by_id.find(id);
            if (found == by_id.end()) return broken(fmt::format("{} has no case {}", name, id));
            cases.push_back(found->second);
        }
        std::sort(cases.begin(), cases.end());
        cases.erase(std::unique(cases.begin(), cases.end()), cases.end());
        if (cases.empty() && one.without_case.empty()) {
            return broken(fmt::format("{} has neither a case nor a reason", name));
        }
        survey.subjects.push_back({.name = name,
                                   .family = std::string(operator_family(name)),
                                   .share_of_step = one.share,
                                   .count = one.count,
                                   .cases = ranked(std::move(cases)),
                                   .without_case = one.without_case});
    }
    std::stable_sort(survey.subjects.begin(), survey.subjects.end(),
                     [](const OperatorSubject& left, const OperatorSubject& right) {
                         return left.share_of_step > right.share_of_step;
                     });
    return survey;
}

std::string_view operator_family(std::string_view name) {
    if (name == "mm") return "gemm";
    for (const FamilyWord& entry : kFamilyWords) {
        if (name.find(entry.word) != std::string_view::npos) return entry.family;
    }
    return "elementwise";
}

}  // namespace ascertain::qualification
