// Records of any content, properly chained: the bodies are read or refused, the judge always gives
// a verdict that can be written down, and never a green one with something against it.
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "decide/evidence/chain.hpp"
#include "decide/evidence/verify.hpp"
#include "decide/judge/judge.hpp"

namespace {

using namespace ascertain;

const judge::CriteriaSet& criteria() {
    static const std::vector<judge::CriteriaText> files{{"x.toml", R"([[criterion]]
id = "a"
check = "*"
rule = "value"
bounds = [{ metric = "value", at_most = 1 }]
source = "s"
derivation = "d"
)"}};
    static const auto set = judge::CriteriaSet::parse(files);
    return *set;
}

}  // namespace

// The input: lines of {"kind", "body"}.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    std::vector<evidence::Record> records;
    std::string head{evidence::kChainStart};
    while (!text.empty()) {
        const auto end = text.find('\n');
        const auto line = parse_json(text.substr(0, end), "input");
        text = end == std::string_view::npos ? "" : text.substr(end + 1);
        if (!line || !line->is_object() || !line->contains("kind") || !line->contains("body"))
            continue;
        if (!(*line)["kind"].is_string()) continue;
        evidence::Record record{records.size() + 1,
                                (*line)["kind"].get<std::string>(),
                                "2026-11-24T00:00:00Z",
                                head,
                                {},
                                (*line)["body"]};
        if (!evidence::to_line(record)) continue;
        head = record.hash;
        records.push_back(std::move(record));
    }
    const auto verdict = judge::judge(records, criteria(), {}, "2026-11-25");
    if (!verdict) std::abort();
    if (to_json(*verdict).dump().empty()) std::abort();
    const bool green = verdict->verdict == judge::VerdictWord::kQualified;
    if (green != verdict->blockers.empty()) std::abort();
    static_cast<void>(evidence::diff(records, records));
    return 0;
}
