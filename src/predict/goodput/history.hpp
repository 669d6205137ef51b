// What one history of a run was: where its time went, what happened when. player.hpp plays them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "predict/goodput/engine.hpp"

namespace ascertain::goodput {

// Where the wall time went. Every nanosecond of a history belongs to exactly one of these.
enum class Share : std::uint8_t {
    kUseful,       // work that was kept, at the speed of a healthy fleet
    kRework,       // work done again or thrown away
    kStraggler,    // steps slower than healthy ones
    kShrunk,       // steps slower because nodes are missing
    kMonitoring,   // watching for corruption
    kCheckpoint,   // training waited for a checkpoint
    kDetection,    // down and not yet known to be
    kSpares,       // down, waiting for a node
    kRestart,      // scheduling, loading, initialising, also what failed and was tried again
    kDebugging,    // a software defect is looked for and mended
    kMaintenance,  // planned
    kOutage,       // the whole site is down
    kStageChange,  // from one stage to the next
};
inline constexpr std::size_t kShares = 13;
[[nodiscard]] std::string_view name_of(Share share);

enum class Moment : std::uint8_t {
    kFailed,
    kCorrupted,
    kSlowed,
    kOutage,
    kDefect,
    kDetected,
    kShrunk,
    kWaiting,
    kRestarted,
    kRestartFailed,
    kRepaired,
    kCorruptionFound,
    kSlowFound,
    kMaintenance,
    kStageDone,
    kFinished,
    kGivenUp,
};
[[nodiscard]] std::string_view name_of(Moment moment);

struct TraceRecord {
    Ticks time = 0;
    Moment moment = Moment::kFailed;
    std::int32_t detail = -1;  // failure class or stage, -1 where there is none
    Ticks position = 0;        // work that would survive, in nanoseconds of nominal training
};
using Trace = std::vector<TraceRecord>;

// One line per record: "time_ns moment detail position_ns". Same seed, same bytes, on any machine.
[[nodiscard]] std::string trace_text(const Trace& trace);

// What a history's time down and its work done twice were lost to, beyond the failure classes.
enum class Cause : std::uint8_t {
    kSite,     // the whole site was down
    kDefect,   // of software
    kSlow,     // a slow device was evicted
    kPlanned,  // maintenance, a change of stage, nodes taken back in
};
inline constexpr std::size_t kCauses = 4;
[[nodiscard]] std::string_view name_of(Cause cause);

struct History {
    bool finished = false;                  // false: given up at the horizon or at the event limit
    double wall_s = 0.0;                    // until finished or given up
    double progress_ratio = 0.0;            // of the work, 1 when finished
    std::array<double, kShares> share_s{};  // adds up to wall_s
    std::int64_t interruptions = 0;         // unplanned stops of the whole run
    std::int64_t failures = 0;              // of devices, also those that stopped nothing
    std::int64_t corruptions = 0;
    bool corrupted_at_end = false;  // finished with a corruption that nobody had found
    std::int64_t defects = 0;
    std::int64_t nodes_repaired = 0;
    // Work thrown away and time down (detection, spares, restart, debugging, maintenance, outage,
    // stage change) by cause: of each failure class of the setup, then of each Cause. Adds up to
    // those shares.
    std::vector<double> lost_s;
    std::vector<double> stage_end_s;  // wall time at which each stage ended, or the history did
    std::int64_t events = 0;
};

}  // namespace ascertain::goodput
