#include "measure/trainer/watch.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "base/assert.hpp"
#include "base/text.hpp"

namespace ascertain::trainer {
namespace {

constexpr std::size_t kChunk = 64u << 10;
constexpr std::size_t kBytesPerPoll = 16u << 20;  // so that limits are looked at in between
constexpr std::size_t kTailBytes = 16u << 10;
constexpr Seconds kLook{0.5};  // between looks at processes and disk

std::string last_line(std::string_view text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
    const std::size_t begin = text.find_last_of('\n');
    return shortened(begin == std::string_view::npos ? text : text.substr(begin + 1), 200);
}

std::uint64_t size_of(const std::string& path) {
    struct stat status {};
    return stat(path.c_str(), &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

int nonfinite_at_end(const std::vector<Point>& points) {
    int count = 0;
    for (auto point = points.rbegin(); point != points.rend(); ++point) {
        if (!point->loss) continue;
        if (std::isfinite(*point->loss)) break;
        ++count;
    }
    return count;
}

std::string where_it_was(const std::vector<Point>& points) {
    return points.empty() ? "before its first metric"
                          : fmt::format("after step {}", points.back().step);
}

}  // namespace

std::string_view name_of(RunEnd end) {
    switch (end) {
        case RunEnd::kCompleted: return "completed";
        case RunEnd::kFailed: return "failed";
        case RunEnd::kNoMetrics: return "no metrics";
        case RunEnd::kDiverged: return "diverged";
        case RunEnd::kHung: return "hung";
        case RunEnd::kTimedOut: return "timed out";
        case RunEnd::kFlooded: return "flooded";
        case RunEnd::kTooMany: return "too many processes";
        case RunEnd::kDiskFull: return "disk full";
        case RunEnd::kNotKilled: return "ended before it was killed";
        case RunEnd::kNotStarted: return "not started";
    }
    ASCERTAIN_ASSERT(false);
    return {};
}

Watch::Watch(WatchSpec spec, Seconds now)
    : spec_(std::move(spec)), began_(now), part_began_(now), last_point_(now), next_look_(now) {
    if (!spec_.source.file.empty()) {
        file_ = (std::filesystem::path(spec_.folder) / spec_.source.file).string();
        // What an earlier run left in the file is not this run's.
        offset_ = size_of(file_);
    }
    begin(spec_.command);
    if (!child_) finish(RunEnd::kNotStarted, report_.message, now);
}

Watch::~Watch() = default;

void Watch::begin(const std::string& command) {
    reader_ = std::make_unique<MetricReader>(spec_.source.names, spec_.source.pattern);
    points_seen_ = 0;
    child_.reset();
    auto child = Child::start({command, spec_.environment});
    if (!child) {
        report_.message = child.error().message;
        return;
    }
    child_ = std::make_unique<Child>(*std::move(child));
}

bool Watch::poll(Seconds wait, Seconds now) {
    if (over_) return true;
    drain(wait);
    const std::optional<Exit> exit = child_->poll_exit();
    if (exit) drain({0.0});
    read_metrics();
    if (reader_->points().size() > points_seen_) {
        points_seen_ = reader_->points().size();
        last_point_ = now;
    }
    if (exit) {
        command_ended(*exit, now);
        return over_;
    }
    if (kill_due(now)) {
        kill_and_resume(now);
        return over_;
    }
    look_around(now);
    return over_;
}

void Watch::drain(Seconds wait) {
    struct pollfd ready {
        child_->output(), POLLIN, 0
    };
    // With its output closed it may still run and write metrics.
    ::poll(&ready, ready.fd < 0 ? 0 : 1, static_cast<int>(wait.count * 1000.0));
    std::array<char, kChunk> buffer{};
    std::size_t taken = 0;
    while (child_->output() >= 0 && taken < kBytesPerPoll) {
        const ssize_t got = read(child_->output(), buffer.data(), buffer.size());
        if (got == 0) child_->close_output();
        if (got <= 0) break;
        const std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
        taken += bytes.size();
        if (spec_.source.pattern) reader_->feed(bytes);
        report_.tail += bytes;
        if (report_.tail.size() > 2 * kTailBytes) {
            report_.tail.erase(0, report_.tail.size() - kTailBytes);
        }
    }
    report_.output_bytes += taken;
}

void Watch::read_metrics() {
    if (file_.empty()) return;
    const std::uint64_t size = size_of(file_);
    if (size < offset_) offset_ = 0;  // written anew
    if (size == offset_) return;
    std::ifstream file(file_, std::ios::binary);
    file.seekg(static_cast<std::streamoff>(offset_));
    std::array<char, kChunk> buffer{};
    std::size_t taken = 0;
    while (taken < kBytesPerPoll) {
        file.read(buffer.data(), buffer.size());
        const auto got = static_cast<std::size_t>(file.gcount());
        if (got == 0) break;
        reader_->feed({buffer.data(), got});
        taken += got;
    }
    offset_ += taken;
    metrics_read_ += taken;
}

void Watch::look_around(Seconds now) {
    const WatchLimits& limits = spec_.limits;
    const auto& points = reader_->points();
    if (nonfinite_at_end(points) >= limits.nonfinite) {
        return finish(RunEnd::kDiverged,
                      fmt::format("diverged: the loss has not been a number for {} steps, {}",
                                  limits.nonfinite, where_it_was(points)),
                      now);
    }
    if (report_.output_bytes > limits.output_bytes) {
        return finish(RunEnd::kFlooded,
                      fmt::format("stopped: it printed more than {} MiB, {}",
                                  limits.output_bytes >> 20, where_it_was(points)),
                      now);
    }
    if (metrics_read_ > limits.metrics_bytes || reader_->full()) {
        return finish(RunEnd::kFlooded,
                      fmt::format("stopped: its metrics file holds more than {} MiB or points than "
                                  "can be compared",
                                  limits.metrics_bytes >> 20),
                      now);
    }
    if (now - began_ > limits.total) {
        return finish(RunEnd::kTimedOut,
                      fmt::format("not finished within {} (--for), {}",
                                  format_duration(limits.total), where_it_was(points)),
                      now);
    }
    if (now - last_point_ > limits.silence) {
        return finish(RunEnd::kHung,
                      fmt::format("hung: no new metric for {} (--silence), {}",
                                  format_duration(limits.silence), where_it_was(points)),
                      now);
    }
    if (now < next_look_) return;
    next_look_ = now + kLook;
    const std::size_t processes = child_->processes().size();
    if (processes > limits.processes) {
        return finish(
            RunEnd::kTooMany,
            fmt::format("stopped: it runs {} processes, more than {}", processes, limits.processes),
            now);
    }
    struct statvfs disk {};
    if (statvfs(spec_.folder.c_str(), &disk) == 0 &&
        static_cast<std::size_t>(disk.f_bavail) * disk.f_frsize < limits.free_bytes) {
        finish(RunEnd::kDiskFull,
               fmt::format("stopped: less than {} MiB are free where it writes",
                           limits.free_bytes >> 20),
               now);
    }
}

bool Watch::kill_due(Seconds now) {
    if (killed_ || !spec_.kill_at || reader_->points().empty()) return false;
    const Point& last = reader_->points().back();
    if (last.step < *spec_.kill_at) return false;
    if (!kill_time_) {
        const double steps = static_cast<double>(std::max<std::int64_t>(1, last.step));
        kill_time_ = now + (now - part_began_) * (spec_.kill_delay / steps);
    }
    return now >= *kill_time_;
}

void Watch::kill_and_resume(Seconds now) {
    killed_ = true;
    child_->kill_all();
    drain({0.0});
    read_metrics();
    report_.steps_named = report_.steps_named && reader_->steps_named();
    report_.malformed_lines += reader_->malformed();
    before_kill_ = reader_->points();
    report_.killed_at = before_kill_.back().step;
    spec_.environment.emplace_back("ASCERTAIN_RESUME", "1");
    part_began_ = last_point_ = now;
    begin(spec_.resume_command);
    if (!child_) finish(RunEnd::kNotStarted, report_.message, now);
}

void Watch::command_ended(const Exit& exit, Seconds now) {
    reader_->finish();
    const auto& points = reader_->points();
    if (!exit.good()) {
        return finish(
            RunEnd::kFailed,
            fmt::format("{}{}, {}; its last line: {}", killed_ ? "resumed, it failed: " : "",
                        exit.text(), where_it_was(points), last_line(report_.tail)),
            now);
    }
    if (points.empty()) {
        const std::string found =
            spec_.source.pattern
                ? fmt::format("none of its {} lines matches --log-pattern", reader_->lines())
                : fmt::format("no line with a loss in {} ({} lines, {} of them no JSON)", file_,
                              reader_->lines(), reader_->malformed());
        return finish(RunEnd::kNoMetrics,
                      fmt::format("it ended well{}, but {}; the last line it printed: {}",
                                  killed_ ? " when resumed" : "", found, last_line(report_.tail)),
                      now);
    }
    if (spec_.kill_at && !killed_) {
        return finish(RunEnd::kNotKilled,
                      fmt::format("it ended {}, before it could be killed at step {}",
                                  where_it_was(points), *spec_.kill_at),
                      now);
    }
    finish(RunEnd::kCompleted, "", now);
}

void Watch::finish(RunEnd end, std::string message, Seconds now) {
    report_.end = end;
    report_.message = std::move(message);
    report_.duration = now - began_;
    merge_points();
    if (child_) {
        report_.left_behind = child_->poll_exit() ? child_->processes().size() : 0;
        child_->kill_all();
    }
    if (report_.tail.size() > kTailBytes) {
        report_.tail.erase(0, report_.tail.size() - kTailBytes);
    }
    over_ = true;
}

// What was trained again after the kill counts once.
void Watch::merge_points() {
    report_.steps_named = report_.steps_named && reader_->steps_named();
    report_.malformed_lines += reader_->malformed();
    const auto& after = reader_->points();
    if (killed_ && !after.empty()) report_.resumed_from = after.front().step;
    for (const Point& point : before_kill_) {
        if (!after.empty() && point.step >= after.front().step) break;
        report_.points.push_back(point);
    }
    report_.points.insert(report_.points.end(), after.begin(), after.end());
}

}  // namespace ascertain::trainer
