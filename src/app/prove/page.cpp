#include "app/prove/page.hpp"

#include <fmt/format.h>

#include "app/files.hpp"
#include "app/prove/print.hpp"
#include "base/text.hpp"

namespace ascertain::app {
namespace {

constexpr std::size_t kPageBytesMax = 4u << 20;
constexpr std::string_view kBegin = "<!-- generated: ascertain prove --write-proofs -->\n";
constexpr std::string_view kEnd = "<!-- end of what is generated -->\n";
constexpr std::size_t kReasonLength = 160;

// A bar would end the cell.
std::string in_cell(std::string text) {
    for (auto place = text.find('|'); place != std::string::npos; place = text.find('|', place + 2))
        text.replace(place, 1, "\\|");
    return shortened(text, kReasonLength);
}

std::string totals(const Json& tallies, const char* title) {
    std::string text = fmt::format(
        "| {} | defects | expressible | exercised | caught | at quick | waiting |\n"
        "|---|--:|--:|--:|--:|--:|--:|\n",
        title);
    for (const auto& [name, tally] : tallies.items()) {
        text += fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", name,
                            tally["defects"].get<int>(), tally["expressible"].get<int>(),
                            tally["exercised"].get<int>(), tally["caught"].get<int>(),
                            tally["caught_quick"].get<int>(), tally["waiting"].get<int>());
    }
    return text + "\n";
}

std::string rows(const ProofResults& results) {
    std::string text =
        "| defect | class | plane | caught by, first to fail | profile | after |\n"
        "|---|---|---|---|---|--:|\n";
    for (const auto& result : results.defects) {
        if (!result.caught) continue;
        const auto& first = result.caught_by.front();
        text += fmt::format("| {} | {} | {} | {} {} | {} | {:.1f} s |\n", result.id, result.family,
                            result.plane, first.check, first.status, result.profile,
                            result.caught_after_s);
    }
    text += "\n| not caught | class | plane | why |\n|---|---|---|---|\n";
    for (const auto& result : results.defects) {
        if (result.caught) continue;
        text += fmt::format("| {} | {} | {} | {} |\n", result.id, result.family, result.plane,
                            in_cell(result.miss_reason));
    }
    return text;
}

}  // namespace

Result<void> write_page(const std::string& path, const ProofResults& results) {
    auto page = read_file(path, kPageBytesMax);
    if (!page) return page.error();
    const auto begin = page->find(kBegin);
    const auto end = page->find(kEnd);
    if (begin == std::string::npos || end == std::string::npos || end < begin) {
        return Error{ErrorCode::kBadInput, "the page has lost the marks of its generated part",
                     path};
    }
    const Json document = to_json(results);
    const Json& summary = document["summary"];
    const std::string generated = fmt::format("\nChecks `{}`, criteria `{}`.\n\n",
                                              results.checks_hash, results.criteria_hash) +
                                  totals(summary["by_plane"], "plane") +
                                  totals(summary["by_class"], "class") + rows(results) + "\n";
    page->replace(begin + kBegin.size(), end - begin - kBegin.size(), generated);
    return write_file(path, *page);
}

}  // namespace ascertain::app
