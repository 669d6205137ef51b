// libascertain_recorder.so: torch.ops.load_library() registers torch.ops.ascertain.record_start and
// record_stop, and starts by itself where the environment says ASCERTAIN_RECORD=FILE.
#include <torch/library.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>

#include "worker/recorder/session.hpp"

namespace {

namespace recorder = ascertain::recorder;

// torch calls plain functions: between two of them the recording has to be somewhere.
struct State {
    std::mutex mutex;
    std::unique_ptr<recorder::Session> session;
    std::string path;
    std::unique_ptr<recorder::StepWatch> watch;
    pid_t owner = 0;  // a forked child inherits all this and must not write it
};

State& state() {
    static State* instance = new State;  // outlives every thread that may still call operators
    return *instance;
}

void record_start(std::string path) {
    State& here = state();
    const std::lock_guard lock(here.mutex);
    TORCH_CHECK(!here.session, "record_start: a recording is going on, into ", here.path);
    TORCH_CHECK(!here.watch,
                "record_start: ASCERTAIN_RECORD is set and records already; use one of the two");
    const auto own = recorder::path_of_rank(path, std::getenv("RANK"));
    if (!own) return;
    const auto possible = recorder::can_write(*own);
    TORCH_CHECK(possible.ok(), "record_start: ", possible.ok() ? "" : possible.error().text());
    here.path = *own;
    here.session = std::make_unique<recorder::Session>();
}

std::int64_t record_stop() {
    State& here = state();
    const std::lock_guard lock(here.mutex);
    if (!here.session) {
        TORCH_CHECK(std::getenv("RANK") != nullptr,
                    "record_stop: nothing is being recorded; call record_start first");
        return 0;  // another rank's recording
    }
    const auto written = here.session->write(here.path, std::nullopt);
    here.session.reset();
    TORCH_CHECK(written.ok(), "record_stop: ", written.ok() ? "" : written.error().text());
    return *written;
}

void at_exit() {
    State& here = state();
    if (here.watch && here.owner == ::getpid()) here.watch->finish();
    here.watch.reset();
    if (here.session && here.owner == ::getpid()) {
        std::fprintf(stderr,
                     "ascertain recorder: record_stop was never called; %s is not written\n",
                     here.path.c_str());
    }
    here.session.reset();
}

// A trainer must not die of what its environment says about us.
void start_from_environment() {
    const char* path = std::getenv("ASCERTAIN_RECORD");
    if (path == nullptr || *path == '\0') return;
    const auto complain = [](const ascertain::Error& error) {
        std::fprintf(stderr, "ascertain recorder: nothing will be recorded: %s\n",
                     error.text().c_str());
    };
    recorder::Steps steps;
    if (const char* text = std::getenv("ASCERTAIN_RECORD_STEPS")) {
        const auto asked = recorder::steps_from(text);
        if (!asked) return complain(asked.error());
        steps = *asked;
    }
    const auto own = recorder::path_of_rank(path, std::getenv("RANK"));
    if (!own) return;
    if (const auto possible = recorder::can_write(*own); !possible)
        return complain(possible.error());
    state().watch = std::make_unique<recorder::StepWatch>(*own, steps);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(ascertain, library) {
    library.def("record_start(str path) -> ()", record_start);
    library.def("record_stop() -> int", record_stop);
    state().owner = ::getpid();
    std::atexit(at_exit);
    start_from_environment();
}
