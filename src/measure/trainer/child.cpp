#include "measure/trainer/child.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string_view>
#include <system_error>
#include <thread>

extern char** environ;

namespace ascertain::trainer {
namespace {

constexpr std::string_view kMark = "ASCERTAIN_RUN";
constexpr std::size_t kEnvironmentBytesMax = 1u << 20;

std::vector<std::string> environment_of(const ChildSpec& spec, const std::string& mark) {
    std::vector<std::string> result{mark};
    for (const auto& [key, value] : spec.environment) {
        result.push_back(fmt::format("{}={}", key, value));
    }
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text = *entry;
        const std::string_view key = text.substr(0, text.find('='));
        const bool replaced =
            key == kMark || std::ranges::any_of(spec.environment, [&](const auto& added) {
                return added.first == key;
            });
        if (!replaced) result.emplace_back(text);
    }
    return result;
}

// Between fork and exec only what is allowed in a signal handler.
[[noreturn]] void become(const char* command, char* const* environment, int input, int output) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct sigaction standard = {};
    standard.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; ++number) sigaction(number, &standard, nullptr);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    dup2(input, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
    const char* arguments[] = {"/bin/sh", "-c", command, nullptr};
    execve("/bin/sh", const_cast<char* const*>(arguments), environment);
    _exit(127);
}

// Parent of every process, by /proc/PID/stat: "pid (name) state ppid …"; the name may hold
// anything.
std::map<pid_t, pid_t> parents() {
    std::map<pid_t, pid_t> result;
    DIR* folder = opendir("/proc");
    if (folder == nullptr) return result;
    while (const dirent* entry = readdir(folder)) {
        const pid_t pid = static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10));
        if (pid <= 0) continue;
        std::ifstream file(fmt::format("/proc/{}/stat", pid));
        std::string text;
        if (!std::getline(file, text)) continue;
        const std::size_t end = text.rfind(')');
        if (end == std::string::npos) continue;
        std::istringstream rest(text.substr(end + 1));
        char state = 0;
        pid_t parent = 0;
        rest >> state >> parent;
        if (state != 'Z' && state != 'X') result.emplace(pid, parent);
    }
    closedir(folder);
    return result;
}

bool is_marked(pid_t pid, const std::string& mark) {
    std::ifstream file(fmt::format("/proc/{}/environ", pid), std::ios::binary);
    std::string all(kEnvironmentBytesMax, '\0');
    file.read(all.data(), static_cast<std::streamsize>(all.size()));
    all.resize(static_cast<std::size_t>(file.gcount()));
    const std::size_t at = all.find(mark);
    return at != std::string::npos && (at == 0 || all[at - 1] == '\0');
}

std::string new_mark() {
    static int count = 0;
    const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
    return fmt::format("{}={}-{}-{}", kMark, getpid(), ++count, now);
}

}  // namespace

std::string Exit::text() const {
    if (signal == 0) return fmt::format("exit code {}", code);
    return fmt::format("signal {} ({})", signal,
                       strsignal(signal));  // NOLINT(concurrency-mt-unsafe)
}

Result<Child> Child::start(const ChildSpec& spec) {
    const auto failure = [](std::string_view what) {
        return Error{ErrorCode::kEnvironment,
                     fmt::format("cannot start the command: {}: {}", what,
                                 std::generic_category().message(errno)),
                     {}};
    };
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return failure("no pipe");
    const int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    std::string mark = new_mark();
    std::vector<std::string> environment = environment_of(spec, mark);
    std::vector<char*> pointers;
    for (std::string& text : environment) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    const pid_t pid = fork();
    if (pid == 0) become(spec.command.c_str(), pointers.data(), input, ends[1]);
    close(ends[1]);
    if (input >= 0) close(input);
    if (pid < 0) {
        const Error error = failure("fork");
        close(ends[0]);
        return error;
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return Child(pid, ends[0], std::move(mark));
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      output_(std::exchange(other.output_, -1)),
      mark_(std::move(other.mark_)),
      exit_(other.exit_) {}

Child::~Child() {
    if (pid_ > 0) kill_all();
    close_output();
}

void Child::close_output() {
    if (output_ >= 0) close(output_);
    output_ = -1;
}

std::optional<Exit> Child::poll_exit() {
    if (exit_ || pid_ <= 0) return exit_;
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
    exit_ = WIFSIGNALED(status) ? Exit{.code = 0, .signal = WTERMSIG(status)}
                                : Exit{.code = WEXITSTATUS(status), .signal = 0};
    return exit_;
}

std::vector<pid_t> Child::processes() const {
    const auto parent = parents();
    std::set<pid_t> ours;
    if (parent.contains(pid_)) ours.insert(pid_);
    for (const auto& [pid, ignored] : parent) {
        if (pid == getpid()) continue;
        if (getpgid(pid) == pid_ || is_marked(pid, mark_)) ours.insert(pid);
    }
    for (bool grew = true; grew;) {
        grew = false;
        for (const auto& [pid, above] : parent) {
            if (ours.contains(above)) grew = ours.insert(pid).second || grew;
        }
    }
    return {ours.begin(), ours.end()};
}

std::size_t Child::kill_all() {
    constexpr std::chrono::seconds kPatience{2};
    const auto begin = std::chrono::steady_clock::now();
    std::set<pid_t> dying;  // until they are reaped
    while (true) {
        if (!exit_) kill(-pid_, SIGKILL);
        const std::vector<pid_t> left = processes();
        // Stopped first, so that none forks while the others die.
        for (const pid_t pid : left) kill(pid, SIGSTOP);
        for (const pid_t pid : left) kill(pid, SIGKILL);
        dying.insert(left.begin(), left.end());
        dying.erase(pid_);
        // An orphan becomes ours to reap once its parent is gone.
        std::erase_if(dying, [](pid_t pid) {
            return waitpid(pid, nullptr, WNOHANG) == pid || kill(pid, 0) != 0;
        });
        if (poll_exit() && left.empty() && dying.empty()) return 0;
        if (std::chrono::steady_clock::now() - begin > kPatience) return left.size();
        std::this_thread::sleep_for(std::chrono::milliseconds(left.empty() ? 1 : 5));
    }
}

}  // namespace ascertain::trainer
