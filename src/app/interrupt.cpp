#include "app/interrupt.hpp"

#include <unistd.h>

#include <csignal>

#include "app/exit_codes.hpp"

namespace ascertain::app {
namespace {

// A signal handler can reach nothing but a global.
std::atomic<bool> asked_to_stop{
    false};  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

extern "C" void on_signal(int /*signal*/) {
    if (asked_to_stop.exchange(true)) ::_exit(kExitInterrupted);
}

}  // namespace

void watch_interrupts() {
    struct sigaction action {};
    action.sa_handler = on_signal;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
    ::signal(SIGXFSZ, SIG_IGN);  // NOLINT(cert-err33-c): a full disk is an error, not a death
    ::signal(SIGPIPE, SIG_IGN);  // NOLINT(cert-err33-c): a worker that dies is seen by its socket
}

const std::atomic<bool>& interrupted() {
    return asked_to_stop;
}

}  // namespace ascertain::app
