#include "app/ops/cases.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

#include "app/files.hpp"
#include "base/text.hpp"
#include "measure/checks/cases.hpp"

namespace ascertain::app {
namespace {

constexpr std::size_t kCaseFileBytesMax = 64u << 20;
constexpr std::string_view kCase = "ascertain.case/1";
constexpr std::string_view kCases = "ascertain.cases/1";

Error bad(const std::string& path, std::string message) {
    return {ErrorCode::kBadInput, std::move(message), path};
}

std::string text_or_empty(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

Result<CaseFile> file_from(Json document, const std::string& path) {
    CaseFile file{.path = path, .cases = Json::array(), .operators = Json::array(), .torch = ""};
    if (document.is_array()) {
        file.cases = std::move(document);
    } else if (document.is_object() && text_or_empty(document, "schema") == kCase) {
        file.cases.push_back(std::move(document));
    } else if (document.is_object() && text_or_empty(document, "schema") == kCases) {
        const auto cases = document.find("cases");
        if (cases == document.end() || !cases->is_array()) return bad(path, "\"cases\" is no list");
        file.cases = *cases;
        file.torch = text_or_empty(document, "torch");
        const auto operators = document.find("operators");
        if (operators != document.end() && operators->is_array()) file.operators = *operators;
    } else {
        return bad(path,
                   fmt::format("this is neither {} nor {} nor a list of cases", kCases, kCase));
    }
    if (file.cases.empty()) return bad(path, "this file holds no case");
    for (std::size_t i = 0; i < file.cases.size(); ++i) {
        if (!file.cases[i].is_object()) return bad(path, fmt::format("cases[{}] is no object", i));
    }
    return file;
}

// What one operator of a phase adds up to.
struct Gathered {
    std::string overload;
    double count = 0.0;
    Json case_ids = Json::array();
    std::string unfit;
};
using Key = std::pair<std::string, std::string>;  // operator, phase

// The share of the step that the file gives an operator; null when it does not tell.
Json share_of(const Json& operators, const Key& key) {
    double share = 0.0;
    bool told = false;
    for (const Json& entry : operators) {
        if (!entry.is_object() || text_or_empty(entry, "name") != key.first ||
            text_or_empty(entry, "phase") != key.second) {
            continue;
        }
        const auto found = entry.find("share_of_step");
        if (found == entry.end() || !found->is_number()) continue;
        share += found->get<double>();
        told = true;
    }
    return told ? Json(share) : Json();
}

// Operators of the recorded step that have no case in the file: they are listed with the reason.
void add_without_case(Json& listed, const Json& operators, const std::map<Key, Gathered>& known) {
    for (const Json& entry : operators) {
        if (!entry.is_object() || entry.value("compute", Json(true)) == Json(false)) continue;
        const Key key{text_or_empty(entry, "name"), text_or_empty(entry, "phase")};
        if (key.first.empty() || known.contains(key)) continue;
        const std::string reason = text_or_empty(entry, "without_case_reason");
        const auto count = entry.find("count");
        listed.push_back(
            {{"name", key.first},
             {"overload", text_or_empty(entry, "overload")},
             {"phase", key.second},
             {"compute", true},
             {"count", count != entry.end() && count->is_number() ? *count : Json(1)},
             {"share_of_step", share_of(operators, key)},
             {"case_ids", Json::array()},
             {"without_case_reason", reason.empty() ? "the file holds no case of it" : reason}});
    }
}

}  // namespace

Result<CaseFile> read_case_file(const QualifyOptions& options) {
    const bool names_file = std::filesystem::exists(options.one_case) ||
                            options.one_case.find_first_of("/.") != std::string::npos;
    if (!options.cases.empty() && names_file && !options.one_case.empty()) {
        return Error{ErrorCode::kUsage, "with --cases FILE, --case takes an id and no file",
                     options.one_case};
    }
    const std::string path = !options.cases.empty()                    ? options.cases
                             : names_file && !options.one_case.empty() ? options.one_case
                                                                       : "";
    if (path.empty()) return CaseFile{};
    const auto text = read_file(path, kCaseFileBytesMax);
    if (!text) return text.error();
    auto document = parse_json(*text, path);
    if (!document) return document.error();
    return file_from(*std::move(document), path);
}

Result<Json> capture_of(const CaseFile& file, const Json& checked) {
    std::map<Key, Gathered> operators;
    std::vector<Key> order;
    Json cases = Json::array();
    const auto answers = checked.find("cases");
    if (answers == checked.end() || answers->size() != file.cases.size()) {
        return Error{ErrorCode::kInternal, "check_cases did not answer for every case", ""};
    }
    for (std::size_t i = 0; i < file.cases.size(); ++i) {
        const Json& answer = (*answers)[i];
        if (answer.contains("wrong")) return bad(file.path, text_or_empty(answer, "wrong"));
        Json one = file.cases[i];
        const Key key{text_or_empty(one, "operator"), text_or_empty(one, "phase")};
        const auto [found, is_new] = operators.try_emplace(key);
        if (is_new) order.push_back(key);
        found->second.overload = text_or_empty(one, "overload");
        const auto count = one.find("count");
        const bool counted = count != one.end() && count->is_number();
        found->second.count += counted ? count->get<double>() : 1.0;
        if (const std::string unfit = text_or_empty(answer, "unfit"); !unfit.empty()) {
            found->second.unfit = unfit;
            if (!file.torch.empty() && unfit.find(file.torch) == std::string::npos)
                found->second.unfit += fmt::format("; the case was made by torch {}", file.torch);
            continue;
        }
        one["id"] = answer["id"];
        found->second.case_ids.push_back(answer["id"]);
        cases.push_back(std::move(one));
    }
    Json listed = Json::array();
    for (const Key& key : order) {
        const Gathered& one = operators.at(key);
        listed.push_back({{"name", key.first},
                          {"overload", one.overload},
                          {"phase", key.second},
                          {"compute", true},
                          {"count", one.count},
                          {"share_of_step", share_of(file.operators, key)},
                          {"case_ids", one.case_ids},
                          {"without_case_reason", one.unfit.empty() ? Json() : Json(one.unfit)}});
    }
    add_without_case(listed, file.operators, operators);
    if (cases.empty()) {
        return bad(file.path, "no case fits this torch: " + operators.at(order.front()).unfit);
    }
    return Json{{"cases", cases}, {"operators", listed}, {"gemms", Json::array()}, {"step_s", 0.0}};
}

Result<Json> only_case(Json capture, const std::string& id) {
    std::vector<std::string> known;
    Json kept = Json::array();
    for (const Json& one : capture["cases"]) {
        known.push_back(checks::case_id(one));
        if (known.back() == id) kept.push_back(one);
    }
    if (kept.empty()) {
        return Error{ErrorCode::kUsage,
                     fmt::format("none of the {} cases is called \"{}\"{}; `ascertain ops --format "
                                 "json` lists them",
                                 known.size(), shortened(id, 64), did_you_mean(id, known)),
                     "--case"};
    }
    Json operators = Json::array();
    for (Json entry : capture["operators"]) {
        const Json ids = entry.contains("case_ids") ? entry["case_ids"] : Json::array();
        if (std::find(ids.begin(), ids.end(), Json(id)) == ids.end()) continue;
        entry["case_ids"] = Json::array({id});
        operators.push_back(std::move(entry));
    }
    capture["cases"] = std::move(kept);
    capture["operators"] = std::move(operators);
    return capture;
}

}  // namespace ascertain::app
