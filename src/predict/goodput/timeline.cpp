#include "predict/goodput/timeline.hpp"

#include <algorithm>
#include <numeric>

namespace ascertain::goodput {
namespace {

constexpr auto kUseful = static_cast<std::size_t>(Share::kUseful);
constexpr auto kRework = static_cast<std::size_t>(Share::kRework);

// What was booked between two complete snapshots.
struct Window {
    Ticks begin = 0;
    Ticks end = 0;
    std::array<Ticks, kShares> share{};
};

std::vector<Window> windows_of(const std::vector<Snapshot>& snapshots) {
    std::vector<Window> windows;
    Snapshot before;
    for (const Snapshot& snapshot : snapshots) {
        const Ticks sum = std::accumulate(snapshot.booked.begin(), snapshot.booked.end(), Ticks{0});
        if (sum != snapshot.now) continue;
        // What is rebooked without time passing belongs to the time before it.
        if (snapshot.now > before.now || windows.empty())
            windows.push_back({before.now, snapshot.now, {}});
        for (std::size_t i = 0; i < kShares; ++i)
            windows.back().share[i] += snapshot.booked[i] - before.booked[i];
        before = snapshot;
    }
    return windows;
}

// A roll-back takes useful work off the moment it happens; here it is taken off the time in which
// that work was done, the latest first.
void move_losses_back(std::vector<Window>& windows) {
    Ticks lost = 0;
    for (auto window = windows.rbegin(); window != windows.rend(); ++window) {
        Ticks& useful = window->share[kUseful];
        Ticks& rework = window->share[kRework];
        if (useful < 0) {
            rework += useful;
            lost -= useful;
            useful = 0;
            continue;
        }
        const Ticks taken = std::min(lost, useful);
        useful -= taken;
        rework += taken;
        lost -= taken;
    }
}

}  // namespace

Timeline timeline_of(const std::vector<Snapshot>& snapshots, std::size_t count) {
    Timeline timeline;
    std::vector<Window> windows = windows_of(snapshots);
    if (windows.empty() || windows.back().end <= 0 || count == 0) return timeline;
    move_losses_back(windows);
    const double end = static_cast<double>(windows.back().end);
    const double width = end / static_cast<double>(count);
    timeline.slice_s = seconds_from_ticks(windows.back().end) / static_cast<double>(count);
    timeline.slices.assign(count, {});
    for (const Window& window : windows) {
        const auto begin = static_cast<double>(window.begin);
        const auto until = static_cast<double>(window.end);
        if (until <= begin) continue;
        const auto first = std::min(static_cast<std::size_t>(begin / width), count - 1);
        const auto last = std::min(static_cast<std::size_t>(until / width), count - 1);
        for (std::size_t slice = first; slice <= last; ++slice) {
            const double from = std::max(begin, width * static_cast<double>(slice));
            const double to = slice + 1 == count
                                  ? until
                                  : std::min(until, width * static_cast<double>(slice + 1));
            const double part = std::max(0.0, to - from) / (until - begin);
            for (std::size_t i = 0; i < kShares; ++i)
                timeline.slices[slice][i] += part * seconds_from_ticks(window.share[i]);
        }
    }
    return timeline;
}

}  // namespace ascertain::goodput
