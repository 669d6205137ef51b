// One run of the user's trainer, from its start to its end, whatever it does. Never trusts it:
// time, output, metrics, processes and disk are bounded.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/units.hpp"
#include "measure/trainer/child.hpp"
#include "measure/trainer/metrics.hpp"

namespace ascertain::trainer {

// Where the numbers are.
struct MetricSource {
    std::string file;                   // JSON lines; relative to the run's folder
    std::optional<LogPattern> pattern;  // of the output; in place of a file
    MetricNames names{};
};

struct WatchLimits {
    Seconds total{3600.0};   // for the whole run, resumption included
    Seconds silence{600.0};  // without a new point
    std::size_t output_bytes = 256u << 20;
    std::size_t metrics_bytes = 256u << 20;
    std::size_t processes = 4096;
    std::size_t free_bytes = 256u << 20;  // of the run's file system, at least
    int nonfinite = 10;                   // losses in a row; then it has diverged
};

struct WatchSpec {
    std::string command;
    std::string resume_command;  // after a kill
    std::vector<std::pair<std::string, std::string>> environment;
    std::string folder;  // the run's own; must exist
    MetricSource source;
    std::optional<std::int64_t> kill_at;  // SIGKILL to all of it once this step was written
    double kill_delay = 0.0;              // then so many mean step times later, 0 to 1
    WatchLimits limits{};
};

enum class RunEnd {
    kCompleted,   // exit code 0, with points
    kFailed,      // another exit code, or a signal
    kNoMetrics,   // exit code 0, and nothing that could be read as a metric
    kDiverged,    // the loss stopped being a number
    kHung,        // no new point within the limit
    kTimedOut,    // not finished within the limit
    kFlooded,     // printed or wrote more than any trainer does
    kTooMany,     // processes
    kDiskFull,    // the run's file system ran short
    kNotKilled,   // it ended before the step at which it was to be killed
    kNotStarted,  // /bin/sh could not be started
};
[[nodiscard]] std::string_view name_of(RunEnd end);

struct RunReport {
    RunEnd end = RunEnd::kNotStarted;
    std::string message;        // what happened, for people; empty when completed
    std::vector<Point> points;  // steps rise; after a kill those of the resumed part count
    bool steps_named = true;
    std::optional<std::int64_t> killed_at;     // last step written before the kill
    std::optional<std::int64_t> resumed_from;  // first step written after it
    std::size_t output_bytes = 0;
    std::size_t malformed_lines = 0;
    std::size_t left_behind = 0;  // processes that still ran after the command had ended
    Seconds duration;
    std::string tail;  // end of its output, at most 16 KiB
};

class Watch {
public:
    Watch(WatchSpec spec, Seconds now);
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch();

    // Looks for what is new, waiting at most `wait` for output. True once the run is over.
    bool poll(Seconds wait, Seconds now);
    [[nodiscard]] const RunReport& report() const { return report_; }
    // Steps seen, for progress.
    [[nodiscard]] const std::vector<Point>& points() const { return reader_->points(); }

private:
    void begin(const std::string& command);
    void drain(Seconds wait);
    void read_metrics();
    void look_around(Seconds now);
    [[nodiscard]] bool kill_due(Seconds now);
    void kill_and_resume(Seconds now);
    void command_ended(const Exit& exit, Seconds now);
    void finish(RunEnd end, std::string message, Seconds now);
    void merge_points();

    WatchSpec spec_;
    RunReport report_;
    Seconds began_;
    Seconds part_began_;  // the first or the resumed part
    Seconds last_point_;
    Seconds next_look_;
    std::optional<Seconds> kill_time_;
    std::unique_ptr<Child> child_;
    std::unique_ptr<MetricReader> reader_;
    std::vector<Point> before_kill_;
    std::string file_;
    std::uint64_t offset_ = 0;  // of the metrics file, read so far
    std::uint64_t metrics_read_ = 0;
    std::size_t points_seen_ = 0;
    bool over_ = false;
    bool killed_ = false;
};

}  // namespace ascertain::trainer
