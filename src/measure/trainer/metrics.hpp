// Numbers out of what a trainer writes: JSON lines, or log lines that match a pattern. Whatever
// comes, memory stays bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace ascertain::trainer {

// One logged step. A loss that is not finite is NaN.
struct Point {
    std::int64_t step = 0;
    std::optional<double> loss;       // of training
    std::optional<double> grad_norm;  // before clipping
    std::optional<double> held_out;   // loss on data that was not trained on
};

// Names under which the numbers are looked for; the first that is there counts.
struct MetricNames {
    std::vector<std::string> step{"step", "global_step", "iteration", "iter"};
    std::vector<std::string> loss{"loss", "train_loss", "train/loss", "lm_loss"};
    std::vector<std::string> grad_norm{"grad_norm", "train/grad_norm", "gradient_norm"};
    std::vector<std::string> held_out{"eval_loss", "held_out_loss", "val_loss", "valid_loss",
                                      "eval/loss"};
};

// A pattern for log lines. Groups are named as in Python, (?P<loss>…), or (?<loss>…): step, loss,
// grad_norm, held_out. Without any name the first group is the loss. Other syntax: ECMAScript.
class LogPattern {
public:
    // kUsage: the pattern is none, names another group, or has neither loss nor held_out.
    [[nodiscard]] static Result<LogPattern> parse(const std::string& text);

    // The numbers of a line that matches, anywhere in it; a step is -1 where none is named.
    [[nodiscard]] std::optional<Point> match(std::string_view line) const;

private:
    std::regex expression_;
    std::vector<std::string> groups_;  // names, by position; empty: not named
};

// The point in a JSON line: an object with a loss or a held-out loss. nullopt for every other
// line, `malformed` set where it is no JSON object at all. A step is -1 where none is there.
[[nodiscard]] std::optional<Point> point_of_json(std::string_view line, const MetricNames& names,
                                                 bool& malformed);

// "nan", "inf", "-Infinity" and numbers as a trainer prints them; nullopt for what is none.
[[nodiscard]] std::optional<double> number_of(std::string_view text);

struct ReaderLimits {
    std::size_t line_bytes = 64u << 10;  // longer lines are no metrics: the rest is dropped
    std::size_t pattern_bytes = 4096;    // of a line that a pattern is tried on
    std::size_t points = 200'000;        // more are counted and dropped
};

// Points out of a stream of bytes.
class MetricReader {
public:
    // Without a pattern lines are JSON.
    MetricReader(MetricNames names, std::optional<LogPattern> pattern, ReaderLimits limits = {});

    void feed(std::string_view bytes);
    // The stream was cut short or ended: what is left without a newline counts as a line.
    void finish();

    [[nodiscard]] const std::vector<Point>& points() const { return points_; }
    [[nodiscard]] std::size_t lines() const { return lines_; }
    [[nodiscard]] std::size_t malformed() const { return malformed_; }
    [[nodiscard]] bool full() const { return full_; }
    // False when a point came without its step, which was then counted.
    [[nodiscard]] bool steps_named() const { return steps_named_; }

private:
    void take(std::string_view line);

    MetricNames names_;
    std::optional<LogPattern> pattern_;
    ReaderLimits limits_;
    std::string line_;
    bool overlong_ = false;
    bool full_ = false;
    bool steps_named_ = true;
    std::size_t lines_ = 0;
    std::size_t malformed_ = 0;  // neither JSON nor empty
    std::vector<Point> points_;
};

}  // namespace ascertain::trainer
