#include "measure/qualification/company.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace ascertain::qualification {
namespace {

using device::Ending;

bool is_gone(const RankEnd& rank) {
    return rank.ending != Ending::kResult && rank.ending != Ending::kError;
}

std::int64_t number_of(const RankEnd& rank) {
    return rank.stopped.value("number", std::int64_t{0});
}

std::string place_of(const RankEnd& rank) {
    return fmt::format("{} number {}", rank.stopped.value("collective", "a collective"),
                       number_of(rank));
}

// "ranks 0, 1 and 3"; long lists are cut.
std::string names_of(const std::vector<const RankEnd*>& ranks) {
    constexpr std::size_t kNamed = 8;
    std::string text = ranks.size() == 1 ? "rank " : "ranks ";
    for (std::size_t i = 0; i < std::min(ranks.size(), kNamed); ++i) {
        if (i > 0) text += ", ";
        text += std::to_string(ranks[i]->rank);
    }
    if (ranks.size() > kNamed) text += fmt::format(" and {} more", ranks.size() - kNamed);
    return text;
}

std::string who_waited(const std::vector<const RankEnd*>& waiting) {
    if (waiting.empty()) return "";
    return fmt::format("; {} waited in {}", names_of(waiting), place_of(*waiting.front()));
}

CompanyEnd blame_gone(const std::vector<const RankEnd*>& gone,
                      const std::vector<const RankEnd*>& waiting) {
    CompanyEnd end;
    const bool timed_out = std::ranges::any_of(
        gone, [](const RankEnd* rank) { return rank->ending == Ending::kTimedOut; });
    end.outcome = timed_out ? Outcome::kTimedOut : Outcome::kCrashed;
    for (const RankEnd* rank : gone) {
        if (!end.message.empty()) end.message += "; ";
        end.message += fmt::format("rank {} ({}): {}", rank->rank, rank->device, rank->message);
        if (!rank->last_word.empty()) end.message += ", last seen at " + rank->last_word;
    }
    end.message += who_waited(waiting);
    return end;
}

CompanyEnd blame_latest(const std::vector<const RankEnd*>& waiting) {
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    std::int64_t most = 0;
    for (const RankEnd* rank : waiting) {
        least = std::min(least, number_of(*rank));
        most = std::max(most, number_of(*rank));
    }
    if (least == most) {
        return {Outcome::kTimedOut,
                fmt::format("all of {} came to {} and none got through: the network between them "
                            "({})",
                            names_of(waiting), place_of(*waiting.front()),
                            waiting.front()->stopped.value("message", ""))};
    }
    std::vector<const RankEnd*> behind;
    std::vector<const RankEnd*> ahead;
    for (const RankEnd* rank : waiting) {
        (number_of(*rank) == least ? behind : ahead).push_back(rank);
    }
    return {Outcome::kTimedOut,
            fmt::format("{} ({}) had come only to {}{}", names_of(behind), behind.front()->device,
                        place_of(*behind.front()), who_waited(ahead))};
}

}  // namespace

std::optional<CompanyEnd> end_of_company(std::span<const RankEnd> ranks) {
    std::vector<const RankEnd*> gone;
    std::vector<const RankEnd*> waiting;
    bool raised = false;  // a rank that answered with an error explains why others waited
    for (const RankEnd& rank : ranks) {
        if (is_gone(rank)) gone.push_back(&rank);
        raised = raised || rank.ending == Ending::kError;
        if (rank.ending == Ending::kResult && rank.stopped.is_object()) waiting.push_back(&rank);
    }
    if (!gone.empty()) return blame_gone(gone, waiting);
    if (waiting.empty() || raised) return std::nullopt;
    return blame_latest(waiting);
}

}  // namespace ascertain::qualification
