// A worker for tests: healthy, or broken in exactly one way. It answers every request with
// {"observation": [], "echo": <params>, "request": <kind>}.
//
//   healthy            answers
//   crash_at_start     dies by SIGABRT before hello
//   exit_at_start      exits with code 9 before hello
//   silent_start       never says hello
//   refuse             says refused {kind: device} and exits 3
//   other_version      says hello with another protocol version
//   other_device       says hello for a device that was not asked for
//   crash              dies by SIGSEGV when it gets a request
//   crash_once         the same, but only while the file --marker names does not exist yet
//   exit_early         exits with code 0 when it gets a request, without an answer
//   die_idle           answers, then exits with code 5
//   hang               beats but never answers
//   hang_silent        neither beats nor answers
//   stubborn           as hang_silent, and ignores SIGTERM
//   close_socket       closes its socket but lives on
//   flood              sends a line without an end
//   chatter            sends progress without an end
//   print_flood        prints to standard error without an end
//   garbage            sends a line that is no JSON
//   wrong_id           answers to another request
//   second_answer      answers twice
//   progress_wrong_id  reports progress of another request
//   not_an_object      sends a result that is no object
//   error              answers with an error of kind unsupported
//   progress           reports progress three times, then answers
//   leak               prints to standard output and standard error, then answers
//   orphan             leaves a grandchild that holds the socket, then dies by SIGKILL
//   descriptors        answers with the numbers of its open descriptors
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/json.hpp"
#include "base/protocol.hpp"

namespace {

using ascertain::Json;
namespace protocol = ascertain::protocol;

struct Options {
    std::string device;
    std::string behaviour = "healthy";
    std::string marker;
};

void send_text(int socket, std::string_view text) {
    while (!text.empty()) {
        const ssize_t sent = send(socket, text.data(), text.size(), MSG_NOSIGNAL);
        if (sent <= 0) std::_Exit(4);  // the core has gone
        text.remove_prefix(static_cast<std::size_t>(sent));
    }
}

void send_message(int socket, const Json& message) {
    send_text(socket, message.dump() + "\n");
}

[[noreturn]] void sleep_for_ever() {
    while (true) pause();
}

// Beats until the core gives up.
[[noreturn]] void beat_for_ever(int socket, std::int64_t id) {
    for (std::int64_t number = 0;; ++number) {
        send_message(socket, {{"heartbeat", number}, {"id", id}});
        poll(nullptr, 0, 20);
    }
}

[[noreturn]] void die_by(int number) {
    std::signal(number, SIG_DFL);
    std::raise(number);
    std::_Exit(1);
}

Json open_descriptors() {
    Json numbers = Json::array();
    DIR* folder = opendir("/proc/self/fd");
    while (const dirent* entry = readdir(folder)) {  // NOLINT(concurrency-mt-unsafe): one thread
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") numbers.push_back(std::atoi(entry->d_name));
    }
    closedir(folder);
    return numbers;
}

void orphan_and_die() {
    if (fork() == 0) sleep_for_ever();
    die_by(SIGKILL);
}

bool first_time(const std::string& marker) {
    const int file = open(marker.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0600);
    if (file >= 0) close(file);
    return file >= 0;
}

void start(int socket, const Options& options) {
    const std::string& behaviour = options.behaviour;
    if (behaviour == "crash_at_start") die_by(SIGABRT);
    if (behaviour == "exit_at_start") std::_Exit(9);
    if (behaviour == "silent_start") sleep_for_ever();
    if (behaviour == "refuse") {
        send_message(socket, {{"refused", {{"kind", "device"}, {"message", "no such device"}}}});
        std::_Exit(3);
    }
    if (behaviour == "stubborn") std::signal(SIGTERM, SIG_IGN);
    const int version = protocol::kVersion + (behaviour == "other_version" ? 1 : 0);
    const std::string device = behaviour == "other_device" ? "moon:0" : options.device;
    send_message(socket, {{"hello",
                           {{"protocol", version},
                            {"torch", "0.0.0"},
                            {"torch_built", "0.0"},
                            {"host", "executable"},
                            {"device", device},
                            {"pid", getpid()}}}});
}

void answer(int socket, const Options& options, const Json& request) {
    const std::string& behaviour = options.behaviour;
    const auto id = request["id"].get<std::int64_t>();
    Json result = {{"observation", Json::array()},
                   {"echo", request["params"]},
                   {"request", request["request"]}};
    if (behaviour == "crash") die_by(SIGSEGV);
    if (behaviour == "crash_once" && first_time(options.marker)) die_by(SIGSEGV);
    if (behaviour == "exit_early") std::_Exit(0);
    if (behaviour == "hang") beat_for_ever(socket, id);
    if (behaviour == "hang_silent" || behaviour == "stubborn") sleep_for_ever();
    if (behaviour == "orphan") orphan_and_die();
    if (behaviour == "close_socket") {
        close(socket);
        sleep_for_ever();
    }
    if (behaviour == "flood") {
        while (true) send_text(socket, std::string(65536, 'x'));
    }
    if (behaviour == "chatter") {
        while (true) {
            send_message(socket, {{"id", id}, {"progress", {{"share", 0.5}, {"text", "working"}}}});
        }
    }
    if (behaviour == "print_flood") {
        while (true) std::fputs("a library that complains a lot, again and again\n", stderr);
    }
    if (behaviour == "garbage") send_text(socket, "Segmentation fault (core dumped)\n");
    if (behaviour == "not_an_object") send_message(socket, {{"id", id}, {"result", 3}});
    if (behaviour == "progress_wrong_id") {
        send_message(socket, {{"id", id + 1}, {"progress", {{"share", 0.5}, {"text", ""}}}});
    }
    if (behaviour == "wrong_id") {
        return send_message(socket, {{"id", id + 1}, {"result", result}});
    }
    if (behaviour == "error") {
        return send_message(
            socket, {{"id", id}, {"error", {{"kind", "unsupported"}, {"message", "not here"}}}});
    }
    if (behaviour == "progress") {
        for (int part = 1; part <= 3; ++part) {
            send_message(socket,
                         {{"id", id},
                          {"progress",
                           {{"share", part / 3.0}, {"text", "part"}, {"data", {{"part", part}}}}}});
        }
    }
    if (behaviour == "leak") {
        std::puts("{\"id\": 1, \"result\": {\"from\": \"standard output\"}}");
        std::fputs("a library says hello\n", stderr);
        std::fflush(stdout);
    }
    if (behaviour == "descriptors") result["descriptors"] = open_descriptors();
    const std::string line = Json{{"id", id}, {"result", result}}.dump() + "\n";
    send_text(socket, behaviour == "second_answer" ? line + line : line);
    if (behaviour == "die_idle") std::_Exit(5);
}

Options read_options(int count, char** arguments) {
    Options options;
    for (int i = 1; i + 1 < count; i += 2) {
        const std::string_view flag = arguments[i];
        if (flag == "--device") options.device = arguments[i + 1];
        if (flag == "--behaviour") options.behaviour = arguments[i + 1];
        if (flag == "--marker") options.marker = arguments[i + 1];
    }
    return options;
}

}  // namespace

int main(int count, char** arguments) {
    const Options options = read_options(count, arguments);
    const char* number = std::getenv(protocol::kDescriptorVariable);
    if (number == nullptr) return 64;
    const int socket = std::atoi(number);
    start(socket, options);
    std::string buffer;
    char chunk[65536];
    while (true) {
        const ssize_t got = recv(socket, chunk, sizeof chunk, 0);
        if (got <= 0) return 0;
        buffer.append(chunk, static_cast<std::size_t>(got));
        for (std::size_t end = buffer.find('\n'); end != std::string::npos;
             end = buffer.find('\n')) {
            const auto request = ascertain::parse_json(buffer.substr(0, end), "request");
            if (!request) return 65;
            buffer.erase(0, end + 1);
            answer(socket, options, *request);
        }
    }
}
