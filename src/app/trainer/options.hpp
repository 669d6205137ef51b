// What `ascertain trial --command` is asked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace ascertain::app {

struct TrainerOptions {
    std::string command;         // empty: the trial is ours, not the user's
    std::string resume_command;  // empty: the same again
    std::string metrics;         // JSON-lines file
    std::string log_pattern;     // or a pattern for its output
    std::string reference_command;
    std::string reference_device = "cpu";
    std::vector<std::string> reference_metrics;  // recorded curves in place of a command
    std::vector<std::string> loss_names;
    std::size_t replicas = 1;
    double margin_percent = 0.5;
    std::string time_limit = "1h";  // of one run
    std::string silence = "10m";

    // Shared with the trial of our own.
    std::vector<std::string> devices;
    std::string out;
    std::uint64_t seed = 1;
    std::vector<std::string> skip;
};

// Declares the flags that --command brings.
void add_trainer_flags(CLI::App& flags, TrainerOptions& options);

// Whether one of them was given: without --command they make no sense.
[[nodiscard]] bool brings_trainer_flags(const CLI::App& flags);

}  // namespace ascertain::app
