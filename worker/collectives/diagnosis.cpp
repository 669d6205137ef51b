#include "worker/collectives/diagnosis.hpp"

#include <algorithm>
#include <cmath>

namespace ascertain::collectives {
namespace {

constexpr std::size_t kLookedAt = 65'536;
// A hypothesis is believed when it explains so much of what is wrong: the rest may be chance.
constexpr double kExplains = 0.95;

// A wrong element of a sum.
struct Wrong {
    std::int64_t place = 0;  // in what arrived
    std::int64_t index = 0;  // in the whole
    double got = 0.0;
    double expected = 0.0;
};

struct Hypothesis {
    std::string_view what = "corrupt";
    int culprit = -1;
    std::size_t explained = 0;
};

void keep_better(Hypothesis& best, std::string_view what, int culprit, std::size_t explained) {
    if (explained > best.explained) best = {what, culprit, explained};
}

template <typename Predicted>
std::size_t count_explained(const std::vector<Wrong>& wrong, Predicted predicted) {
    return static_cast<std::size_t>(
        std::ranges::count_if(wrong, [&](const Wrong& one) { return one.got == predicted(one); }));
}

// What one rank may have done to the sum.
void blame_ranks(const Payload& payload, std::int64_t iteration, const std::vector<Wrong>& wrong,
                 Hypothesis& best) {
    for (int rank = 0; rank < payload.ranks; ++rank) {
        const auto own = [&](const Wrong& one, std::int64_t when) {
            return static_cast<double>(contribution(payload, when, rank, one.index));
        };
        keep_better(best, "missing", rank, count_explained(wrong, [&](const Wrong& one) {
                        return one.expected - own(one, iteration);
                    }));
        keep_better(best, "twice", rank, count_explained(wrong, [&](const Wrong& one) {
                        return one.expected + own(one, iteration);
                    }));
        if (iteration == 0) continue;
        keep_better(best, "stale", rank, count_explained(wrong, [&](const Wrong& one) {
                        return one.expected - own(one, iteration) + own(one, iteration - 1);
                    }));
    }
}

Hypothesis best_of_sum(const Payload& payload, std::int64_t iteration, int rank,
                       const std::vector<Wrong>& wrong) {
    Hypothesis best;
    // Of equally good ones the first stays, so those that blame nobody come last.
    if (payload.exact_limit > 1) blame_ranks(payload, iteration, wrong, best);
    keep_better(best, "own_only", -1, count_explained(wrong, [&](const Wrong& one) {
                    return static_cast<double>(contribution(payload, iteration, rank, one.index));
                }));
    if (iteration > 0) {
        const std::vector<std::int32_t> old = reduced(payload, iteration - 1, rank);
        keep_better(best, "old_result", -1, count_explained(wrong, [&](const Wrong& one) {
                        return static_cast<double>(old[static_cast<std::size_t>(one.place)]);
                    }));
    }
    const auto whole = std::ranges::find_if(
        wrong, [](const Wrong& one) { return one.expected != 0.0 && std::isfinite(one.got); });
    if (whole != wrong.end() && wrong.size() > 2) {
        const double factor = whole->got / whole->expected;
        const auto scaled = std::ranges::count_if(wrong, [&](const Wrong& one) {
            return std::abs(one.got - factor * one.expected) <= 0.01 * std::abs(one.expected);
        });
        keep_better(best, "scaled", -1, static_cast<std::size_t>(scaled));
    }
    return best;
}

bool is_old(const Payload& payload, std::int64_t iteration, int from, int to,
            std::span<const std::uint8_t> got, std::size_t begin, std::size_t end) {
    if (iteration == 0) return false;
    const auto old = piece(payload, iteration - 1, from, to);
    return std::equal(got.begin() + static_cast<std::ptrdiff_t>(begin),
                      got.begin() + static_cast<std::ptrdiff_t>(end),
                      old.begin() + static_cast<std::ptrdiff_t>(begin));
}

// Whose piece lies where that of `from` should.
Hypothesis best_of_piece(const Payload& payload, std::int64_t iteration, int from, int to,
                         std::span<const std::uint8_t> got, std::size_t begin, std::size_t end) {
    const auto part = got.subspan(begin, end - begin);
    if (std::ranges::all_of(part, [](std::uint8_t byte) { return byte == 0; })) {
        return {"zeros", from, part.size()};
    }
    if (is_old(payload, iteration, from, to, got, begin, end)) return {"stale", from, part.size()};
    for (int other = 0; other < payload.ranks; ++other) {
        const bool may_be_mixed_up = part.size() >= 4 && other != from;
        if (may_be_mixed_up && std::ranges::equal(got, piece(payload, iteration, other, to))) {
            return {"order", other, part.size()};
        }
    }
    return {"corrupt", from, 0};
}

}  // namespace

std::vector<Finding> diagnose_sum(const Payload& payload, std::int64_t iteration, int rank,
                                  std::span<const double> got) {
    const std::vector<std::int32_t> expected = reduced(payload, iteration, rank);
    const std::int64_t begin =
        payload.kind == Kind::kReduceScatter ? payload.elements * rank : std::int64_t{0};
    std::vector<Wrong> wrong;
    Finding finding;
    finding.iteration = iteration;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const double value = i < got.size() ? got[i] : std::nan("");
        if (value == static_cast<double>(expected[i])) continue;
        const auto place = static_cast<std::int64_t>(i);
        if (finding.wrong++ == 0) finding.byte_begin = place * payload.element_bytes;
        finding.byte_end = (place + 1) * payload.element_bytes;
        if (wrong.size() < kLookedAt) {
            wrong.push_back({place, begin + place, value, static_cast<double>(expected[i])});
        }
    }
    if (wrong.empty()) return {};
    const Hypothesis best = best_of_sum(payload, iteration, rank, wrong);
    if (static_cast<double>(best.explained) >= kExplains * static_cast<double>(wrong.size())) {
        finding.what = best.what;
        finding.culprit = best.culprit;
    }
    return {finding};
}

std::vector<Finding> diagnose_move(const Payload& payload, std::int64_t iteration, int rank,
                                   std::span<const std::uint8_t> got) {
    std::vector<Finding> findings;
    const auto length = static_cast<std::size_t>(payload.elements * payload.element_bytes);
    std::size_t at = 0;
    for (const int from : senders(payload, rank)) {
        const std::vector<std::uint8_t> expected = piece(payload, iteration, from, rank);
        const auto here = got.subspan(std::min(at, got.size()),
                                      std::min(length, got.size() - std::min(at, got.size())));
        std::size_t first = length;
        std::size_t last = 0;
        std::int64_t wrong = 0;
        for (std::size_t i = 0; i < length; ++i) {
            if (i < here.size() && here[i] == expected[i]) continue;
            first = std::min(first, i);
            last = i + 1;
            ++wrong;
        }
        if (wrong > 0) {
            Hypothesis best{"corrupt", from, 0};
            if (here.size() == length) {
                best = best_of_piece(payload, iteration, from, rank, here, first, last);
            }
            findings.push_back({best.what, best.culprit, iteration,
                                static_cast<std::int64_t>(at + first),
                                static_cast<std::int64_t>(at + last),
                                (wrong + payload.element_bytes - 1) / payload.element_bytes});
        }
        at += length;
    }
    return findings;
}

Json to_json(const Finding& finding) {
    return {{"what", finding.what},
            {"from_rank", finding.culprit < 0 ? Json() : Json(finding.culprit)},
            {"iteration", finding.iteration},
            {"byte_begin", finding.byte_begin},
            {"byte_end", finding.byte_end},
            {"wrong_elements", finding.wrong}};
}

}  // namespace ascertain::collectives
