// A command with everything it starts: in a process group of its own, its output on a pipe, and
// ended whole, however often it forked or changed its session.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace ascertain::trainer {

struct ChildSpec {
    std::string command;                                           // for /bin/sh -c
    std::vector<std::pair<std::string, std::string>> environment;  // added to ours
};

// How a command ended by itself.
struct Exit {
    int code = 0;    // of exit(); meaningless with a signal
    int signal = 0;  // that killed it; 0: none

    [[nodiscard]] bool good() const { return code == 0 && signal == 0; }
    [[nodiscard]] std::string text() const;  // "exit code 1", "signal 11 (Segmentation fault)"
};

class Child {
public:
    // Starts it in this process's directory. From then on this process adopts orphans, so that what
    // outlives its parent is found (PR_SET_CHILD_SUBREAPER). Errors: kEnvironment.
    [[nodiscard]] static Result<Child> start(const ChildSpec& spec);
    Child(Child&& other) noexcept;
    Child& operator=(Child&&) = delete;
    // Kills what is left.
    ~Child();

    // Non-blocking end of its standard output and error; -1 once it is closed.
    [[nodiscard]] int output() const { return output_; }
    void close_output();
    // Its end, once it has ended; what it left behind may still run.
    [[nodiscard]] std::optional<Exit> poll_exit();
    // Every process that it started and that still runs, itself included. Cost: one look through
    // /proc.
    [[nodiscard]] std::vector<pid_t> processes() const;
    // SIGKILL to all of them at once, again until none is left or two seconds have passed; reaps.
    // Returns how many would not die.
    std::size_t kill_all();

private:
    Child(pid_t pid, int output, std::string mark)
        : pid_(pid), output_(output), mark_(std::move(mark)) {}

    pid_t pid_ = -1;
    int output_ = -1;
    // In the environment of all that it starts: who has left group, session and parent is known by
    // it.
    std::string mark_;
    std::optional<Exit> exit_;
};

}  // namespace ascertain::trainer
