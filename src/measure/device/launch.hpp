// Starts a process at the other end of a socket: the only place that forks.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace ascertain::device {

// How a worker is started. docs/protocol.md#carrier says what it may rely on.
struct LaunchSpec {
    std::string executable;  // a path, or a name that is looked up in PATH
    std::vector<std::string> arguments;
    std::string device;  // "npu:3"; passed as --device and expected back in hello
    std::vector<std::pair<std::string, std::string>> environment;  // added to, or in place of, ours
    std::string directory;                                         // working directory; empty: ours
    std::string stderr_path;  // standard output and error are appended to it; empty: thrown away
    int threads = 1;          // OMP_NUM_THREADS
};

// A running child. The descriptor is non-blocking and ours to close; the pid is ours to reap.
struct Process {
    pid_t pid = -1;
    int descriptor = -1;
};

// Starts the child in a process group of its own, with default signal handling, no descriptor but
// the standard three and its end of the socket, and an order to the kernel to kill it when the
// thread that called this ends (so call it from a thread that outlives the worker). Returns once
// the program runs. Errors: kEnvironment, naming the program and what failed. Cost: some ms.
[[nodiscard]] Result<Process> launch(const LaunchSpec& spec);

}  // namespace ascertain::device
