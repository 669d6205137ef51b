#include "measure/device/launch.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "base/protocol.hpp"

extern char** environ;

namespace ascertain::device {
namespace {

// The number the socket has in the child.
constexpr int kChildDescriptor = 3;

// A descriptor that closes itself.
class Descriptor {
public:
    explicit Descriptor(int number) : number_(number) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (number_ >= 0) close(number_);
    }
    [[nodiscard]] int get() const { return number_; }
    [[nodiscard]] int release() { return std::exchange(number_, -1); }

private:
    int number_;
};

Error failure(const LaunchSpec& spec, std::string_view what, int code) {
    return Error{ErrorCode::kEnvironment,
                 fmt::format("cannot start the worker {} for {}: {}: {}", spec.executable,
                             spec.device, what, std::generic_category().message(code)),
                 {}};
}

// The program's path as the child can use it after it has changed its directory.
std::string find_program(const std::string& executable) {
    std::error_code ignored;
    if (executable.find('/') != std::string::npos) {
        return std::filesystem::absolute(executable, ignored).string();
    }
    const char* path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): read only
    std::string_view rest = path == nullptr ? "/usr/bin:/bin" : path;
    while (!rest.empty()) {
        const std::size_t colon = rest.find(':');
        const std::string candidate = fmt::format("{}/{}", rest.substr(0, colon), executable);
        if (access(candidate.c_str(), X_OK) == 0) return candidate;
        rest = colon == std::string_view::npos ? "" : rest.substr(colon + 1);
    }
    return executable;
}

std::vector<std::string> child_environment(const LaunchSpec& spec) {
    std::vector<std::pair<std::string, std::string>> wanted{
        {"OMP_WAIT_POLICY", "passive"},
        {"OMP_NUM_THREADS", std::to_string(spec.threads)},
        {protocol::kDescriptorVariable, std::to_string(kChildDescriptor)}};
    wanted.insert(wanted.end(), spec.environment.begin(), spec.environment.end());

    std::vector<std::string> result;
    for (const auto& [key, value] : wanted) result.push_back(fmt::format("{}={}", key, value));
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text = *entry;
        const std::string_view key = text.substr(0, text.find('='));
        bool replaced = false;
        for (const auto& [name, value] : wanted) replaced = replaced || name == key;
        if (!replaced) result.emplace_back(text);
    }
    return result;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    pointers.reserve(texts.size() + 1);
    for (std::string& text : texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
}

// Everything the child needs, made before the fork: between fork and exec only calls that are safe
// in a signal handler are allowed.
struct ChildPlan {
    const char* program;
    char* const* arguments;
    char* const* environment;
    const char* directory;  // null: stay
    int socket;
    int input;   // becomes standard input
    int output;  // becomes standard output and error
    int report;  // errno goes here when exec fails; closed by a successful exec
    pid_t parent;
};

[[noreturn]] void child_fails(const ChildPlan& plan) {
    const int code = errno;
    const ssize_t written = write(plan.report, &code, sizeof code);
    _exit(written == sizeof code ? 127 : 126);
}

[[noreturn]] void become_worker(const ChildPlan& plan) {
    setpgid(0, 0);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) child_fails(plan);
    if (getppid() != plan.parent) _exit(126);  // the parent died before the line above

    struct sigaction standard = {};
    standard.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; ++number) sigaction(number, &standard, nullptr);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);

    if (plan.directory != nullptr && chdir(plan.directory) != 0) child_fails(plan);
    if (dup2(plan.input, STDIN_FILENO) < 0) child_fails(plan);
    if (dup2(plan.output, STDOUT_FILENO) < 0) child_fails(plan);
    if (dup2(plan.output, STDERR_FILENO) < 0) child_fails(plan);
    // Libraries of ours may hold descriptors without close-on-exec; none is the worker's business.
    syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
    if (plan.socket == kChildDescriptor) {
        if (fcntl(plan.socket, F_SETFD, 0) != 0) child_fails(plan);
    } else if (dup2(plan.socket, kChildDescriptor) < 0) {
        child_fails(plan);
    }
    execve(plan.program, plan.arguments, plan.environment);
    child_fails(plan);
}

// 0 once the program runs, else the errno that prevented it.
int wait_for_exec(int report) {
    int code = 0;
    ssize_t got = 0;
    do {
        got = read(report, &code, sizeof code);
    } while (got < 0 && errno == EINTR);
    return got == sizeof code ? code : 0;
}

// The report descriptor must not sit where dup2 puts the socket.
int above_child_descriptor(int number) {
    const int moved = fcntl(number, F_DUPFD_CLOEXEC, kChildDescriptor + 1);
    close(number);
    return moved;
}

}  // namespace

Result<Process> launch(const LaunchSpec& spec) {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
        return failure(spec, "no socket", errno);
    }
    Descriptor ours(ends[0]);
    const Descriptor theirs(ends[1]);
    std::array<int, 2> report{};
    if (pipe2(report.data(), O_CLOEXEC) != 0) return failure(spec, "no pipe", errno);
    const Descriptor report_read(report[0]);
    Descriptor report_write(above_child_descriptor(report[1]));
    if (report_write.get() < 0) return failure(spec, "no pipe", errno);

    const Descriptor input(open("/dev/null", O_RDONLY | O_CLOEXEC));
    const char* output_path = spec.stderr_path.empty() ? "/dev/null" : spec.stderr_path.c_str();
    const Descriptor output(open(output_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    if (input.get() < 0) return failure(spec, "/dev/null", errno);
    if (output.get() < 0) return failure(spec, output_path, errno);
    if (fcntl(ours.get(), F_SETFL, O_NONBLOCK) != 0) return failure(spec, "no socket", errno);

    const std::string program = find_program(spec.executable);
    std::vector<std::string> arguments{spec.executable};
    arguments.insert(arguments.end(), spec.arguments.begin(), spec.arguments.end());
    arguments.emplace_back("--device");
    arguments.push_back(spec.device);
    std::vector<std::string> environment = child_environment(spec);
    const std::vector<char*> argument_pointers = pointers_to(arguments);
    const std::vector<char*> environment_pointers = pointers_to(environment);
    const ChildPlan plan{.program = program.c_str(),
                         .arguments = argument_pointers.data(),
                         .environment = environment_pointers.data(),
                         .directory = spec.directory.empty() ? nullptr : spec.directory.c_str(),
                         .socket = theirs.get(),
                         .input = input.get(),
                         .output = output.get(),
                         .report = report_write.get(),
                         .parent = getpid()};
    const pid_t pid = fork();
    if (pid < 0) return failure(spec, "fork", errno);
    if (pid == 0) become_worker(plan);
    close(report_write.release());
    if (const int code = wait_for_exec(report_read.get()); code != 0) {
        waitpid(pid, nullptr, 0);
        return failure(spec, "the program does not run", code);
    }
    return Process{.pid = pid, .descriptor = ours.release()};
}

}  // namespace ascertain::device
