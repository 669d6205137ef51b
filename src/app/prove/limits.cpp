#include "app/prove/limits.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "app/files.hpp"
#include "app/prove/results.hpp"
#include "base/text.hpp"

namespace ascertain::app {
namespace {

constexpr std::string_view kProducts = R"(["mm", "bmm", "addmm", "baddbmm"])";
constexpr int kSteps = 5;

// Every size lies between one that nobody could overlook and one that is legal or nearly so.
constexpr std::array kKinds{
    FaultKind{"scale", kProducts, "", "factor = {}", "products off by this share", 0.1, 1e-7, false,
              true},
    FaultKind{"scale", R"(["rsqrt", "exp", "silu"])", "", "factor = {}",
              "functions off by this share", 0.1, 1e-7, false, true},
    FaultKind{"scale", R"(["silu_backward", "_softmax_backward_data"])", "", "factor = {}",
              "backward functions off by this share", 0.1, 1e-7, false, true},
    FaultKind{"bias", kProducts, "", "value = {}\nrelative = \"yes\"",
              "products biased by this share of each element's size", 0.1, 1e-7},
    FaultKind{"scale", kProducts, "", "factor = {}\nelements = 1",
              "one element of each product off by this share", 1.0, 1e-6, false, true},
    FaultKind{"round_partial_sums", kProducts, "", "chunk = 32\nbits = {}",
              "mantissa bits that running sums keep every 32 terms", 3, 23, true},
    FaultKind{"truncate_sums", kProducts, "", "block = 16\nbits = {}",
              "bits of an accumulator that rounds towards zero every 16 terms", 6, 24, true},
    FaultKind{"round_inputs", kProducts, "", "bits = {}", "mantissa bits of products' inputs", 2,
              23, true},
    FaultKind{"flip_bit", kProducts, "[defect.when]\nprobability = {}\nseed = 7", "bit = 13",
              "share of products with one flipped bit (13, of one element)", 0.9, 1e-5},
    FaultKind{"scale", kProducts, "[defect.when]\nprobability = {}\nseed = 7",
              "factor = 2.0\nelements = 1", "share of products with one element doubled", 0.9,
              1e-5},
    FaultKind{"stale_output", kProducts, "[defect.when]\nprobability = {}\nseed = 7",
              "part = \"tail\"\nshare = 0.05",
              "share of products that keep a twentieth of an older result", 0.9, 1e-4},
    FaultKind{"drop_tail", R"(["add", "mul", "copy_"])",
              "[defect.when]\nprobability = {}\nseed = 7", "elements = 1",
              "share of sums, factors and copies whose last element is not written", 0.9, 1e-4},
    FaultKind{"wrap_elements", R"(["mm", "add", "mul", "copy_", "index_select", "_softmax"])", "",
              "at = {}", "elements from which an index wraps", 256, 16777216},
    FaultKind{"perturb_ulp", R"(["_softmax", "exp", "silu"])", "", "share = {}\nulps = 2",
              "share of elements that are 2 bf16 units off", 1.0, 1e-6},
    FaultKind{"narrow_random", R"(["random_", "randperm"])", "", "bits = {}",
              "bits of random whole numbers", 4, 31, true},
};

// Only operators are asked, and those by themselves: batteries, and numerics and repetition of what
// the fault is planted in.
ProofProfile operators_only(const ProofProfile& profile, const FaultKind& kind) {
    ProofProfile narrow = profile;
    std::erase_if(narrow.plan.items, [&](const qualification::Item& item) {
        const std::string_view family = item.definition->family;
        if (family.starts_with("ops.battery")) return false;
        const bool one = family == "numerics" || family == "repeat";
        const std::string name = item.id.substr(item.id.rfind('.') + 1);
        return !one || kind.operators.find(fmt::format("\"{}\"", name)) == std::string_view::npos;
    });
    return narrow;
}

std::string filled(std::string_view text, const std::string& size) {
    std::string result(text);
    if (const auto place = result.find("{}"); place != std::string::npos) {
        result.replace(place, 2, size);
    }
    return result;
}

}  // namespace

std::span<const FaultKind> fault_kinds() {
    return kKinds;
}

std::string document_of(const FaultKind& kind, double size) {
    const bool counts = kind.whole || kind.kind == "wrap_elements";
    const std::string text = counts ? fmt::format("{:.0f}", size)
                                    : fmt::format("{:#.9g}", kind.one_minus ? 1.0 + size : size);
    std::string document = fmt::format(
        "schema = \"ascertain.defect/1\"\n\n[[defect]]\nid = \"limit\"\nsummary = \"{}\"\n"
        "source = \"ours\"\n\n[defect.where]\noperator = {}\n\n",
        kind.size, kind.operators);
    if (!kind.when.empty()) document += filled(kind.when, text) + "\n\n";
    return document +
           fmt::format("[defect.does]\nkind = \"{}\"\n{}\n", kind.kind, filled(kind.does, text));
}

Bisection bisect(double gross, double fine, bool whole, int steps,
                 const std::function<std::optional<bool>(double)>& seen) {
    Bisection found;
    // Whether it was seen; a size in between becomes the one end or the other.
    const auto ask = [&](double size) {
        const auto answer = seen(size);
        found.interrupted = !answer;
        if (answer) (*answer ? found.seen : found.not_seen) = size;
        return answer.value_or(false);
    };
    if (!ask(gross) || found.interrupted) return found;
    if (ask(fine) || found.interrupted) return found;
    for (int i = 0; i < steps; ++i) {
        const double middle = whole ? std::round((*found.seen + *found.not_seen) / 2.0)
                                    : std::sqrt(*found.seen * *found.not_seen);
        if (middle == *found.seen || middle == *found.not_seen) break;
        static_cast<void>(ask(middle));
        if (found.interrupted) return found;
    }
    return found;
}

Result<DetectionLimit> find_limit(const ProofBench& bench, const Baseline& baseline,
                                  std::uint64_t seed, const FaultKind& kind) {
    DetectionLimit limit{std::string(kind.kind),
                         std::string(kind.operators),
                         std::string(kind.size),
                         {},
                         {},
                         "",
                         0,
                         0.0};
    const ProofProfile profile = operators_only(baseline.profile, kind);
    std::optional<Error> failure;
    const auto seen = [&](double size) -> std::optional<bool> {
        const std::string document = document_of(kind, size);
        const std::string file =
            fmt::format("{}/limit-{}.toml", bench.scratch, short_hash(document));
        if (const auto written = write_file(file, document); !written) {
            failure = written.error();
            return std::nullopt;
        }
        const auto exposure =
            expose(bench, profile, {.defects = file}, {seed, true, baseline.creditable});
        if (!exposure) {
            failure = exposure.error();
            return std::nullopt;
        }
        if (exposure->interrupted) return std::nullopt;
        ++limit.chips;
        limit.seconds += exposure->duration.count;
        if (!exposure->caught) return false;
        for (const auto& failed : failures_of(*exposure)) {
            if (baseline.creditable.contains(failed.check)) limit.check = failed.check;
        }
        return true;
    };
    const Bisection found = bisect(kind.gross, kind.fine, kind.whole, kSteps, seen);
    if (failure) return *failure;
    if (found.interrupted) return Error{ErrorCode::kInterrupted, "interrupted", {}};
    limit.seen = found.seen;
    limit.not_seen = found.not_seen;
    return limit;
}

Json to_json(const DetectionLimit& limit) {
    return {{"kind", limit.kind},
            {"operators", limit.operators},
            {"size", limit.size},
            {"seen", limit.seen ? Json(*limit.seen) : Json()},
            {"not_seen", limit.not_seen ? Json(*limit.not_seen) : Json()},
            {"check", limit.check.empty() ? Json() : Json(limit.check)},
            {"chips", limit.chips},
            {"seconds", limit.seconds}};
}

}  // namespace ascertain::app
