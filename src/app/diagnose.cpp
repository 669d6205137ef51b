#include "app/diagnose.hpp"

#include <fmt/format.h>

#include "app/files.hpp"
#include "decide/diagnosis/signature.hpp"

namespace ascertain::app {
namespace {

constexpr std::size_t kMatrixBytesMax = 16u << 20;
constexpr std::size_t kCausesShown = 3;

}  // namespace

void add_causes(const Home& home, judge::Verdict& verdict) {
    const auto failures = diagnosis::failures_of(verdict.checks);
    if (failures.empty()) return;
    const std::string path = home.data("proofs/signatures.json");
    const auto text = read_file(path, kMatrixBytesMax);
    if (!text) return;
    const auto known = diagnosis::read_matrix(*text, path);
    if (!known) return;
    Json causes = Json::array();
    for (const auto& cause : diagnosis::rank(*known, failures)) {
        if (causes.size() == kCausesShown) break;
        if (cause.likeness < diagnosis::kFits) continue;
        causes.push_back(
            {{"id", cause.known->id},
             {"class", cause.known->family},
             {"likeness", cause.likeness},
             {"summary", cause.known->summary},
             {"source", cause.known->source},
             {"remedy", cause.known->remedy.empty() ? Json() : Json(cause.known->remedy)}});
    }
    verdict.context["causes"] = std::move(causes);
    verdict.context["causes_compared"] = known->size();
}

void print_causes(const Terminal& terminal, const judge::Verdict& verdict) {
    if (!verdict.context.contains("causes")) return;
    const Json& causes = verdict.context["causes"];
    if (causes.empty()) {
        terminal.print(fmt::format("None of {} catalogued defects fails the same checks.",
                                   verdict.context["causes_compared"].get<std::size_t>()));
        return;
    }
    terminal.print("What fails in the same way (ascertain explain ID):");
    for (const auto& cause : causes) {
        terminal.print(fmt::format("  {} ({}, {:.0f} % alike): {}", cause["id"].get<std::string>(),
                                   cause["class"].get<std::string>(),
                                   100.0 * cause["likeness"].get<double>(),
                                   cause["summary"].get<std::string>()));
        if (cause["remedy"].is_string())
            terminal.print(fmt::format("    remedy: {}", cause["remedy"].get<std::string>()));
        terminal.print(fmt::format("    seen: {}", cause["source"].get<std::string>()));
    }
}

}  // namespace ascertain::app
