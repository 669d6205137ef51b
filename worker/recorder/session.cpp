#include "worker/recorder/session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "base/json.hpp"
#include "base/text.hpp"
#include "worker/host/serve.hpp"
#include "worker/operators/recording_document.hpp"

namespace ascertain::recorder {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kRank = "{rank}";
constexpr std::int64_t kStepsMax = std::int64_t{1} << 40;

std::optional<std::int64_t> whole(std::string_view text) {
    std::int64_t value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool all = read.ec == std::errc() && read.ptr == text.data() + text.size();
    return all && value >= 1 && value <= kStepsMax ? std::optional(value) : std::nullopt;
}

Error cannot_write(const std::string& path) {
    return {ErrorCode::kEnvironment, fmt::format("cannot be written: {}", std::strerror(errno)),
            path};
}

std::string partial(const std::string& path) {
    return path + ".partial";
}

Result<void> write_whole(const std::string& path, const std::string& text) {
    {
        std::ofstream file(partial(path), std::ios::binary | std::ios::trunc);
        file << text << '\n';
        file.close();
        if (!file) return cannot_write(path);
    }
    if (std::rename(partial(path).c_str(), path.c_str()) != 0) return cannot_write(path);
    return {};
}

void say(const std::string& text) {
    std::fprintf(stderr, "ascertain recorder: %s\n", text.c_str());
}

StepWatch* watching = nullptr;  // callbacks are plain functions: this is how they find the watch

// torch's own is only to be derived from. One such is in flight while an optimizer steps.
struct OptimizerScope : at::ObserverContext {};

}  // namespace

Result<Steps> steps_from(std::string_view text) {
    const std::size_t colon = text.find(':');
    const auto first = whole(text.substr(0, colon));
    const auto last = colon == std::string_view::npos ? first : whole(text.substr(colon + 1));
    if (!first || !last || *first > *last) {
        return Error{ErrorCode::kBadInput,
                     fmt::format("\"{}\" is no step, such as 2, and no range of steps, such as 2:3",
                                 shortened(text, 64)),
                     "ASCERTAIN_RECORD_STEPS"};
    }
    return Steps{*first, *last};
}

std::optional<std::string> path_of_rank(std::string_view path, const char* rank) {
    const std::string_view own = rank == nullptr || *rank == '\0' ? "0" : rank;
    const std::size_t place = path.find(kRank);
    if (place == std::string_view::npos)
        return own == "0" ? std::optional(std::string(path)) : std::nullopt;
    return fmt::format("{}{}{}", path.substr(0, place), own, path.substr(place + kRank.size()));
}

Result<void> can_write(const std::string& path) {
    std::ofstream file(partial(path), std::ios::binary | std::ios::app);
    if (!file) return cannot_write(path);
    file.close();
    std::remove(partial(path).c_str());
    return {};
}

Session::Session()
    : start_(Clock::now()),
      recorder_(c10::Device(c10::DeviceType::CPU), /*keep_times=*/true, operators::Phases::kSeen) {}

Result<std::int64_t> Session::write(const std::string& path, std::optional<std::int64_t> steps) {
    const double wall_s = std::chrono::duration<double>(Clock::now() - start_).count();
    const operators::Recording recording = recorder_.stop();
    if (recording.calls.empty()) {
        return Error{ErrorCode::kUnknownValue,
                     "no operator ran between start and stop; nothing is written", path};
    }
    const double step_s = std::max(1e-9, wall_s - recording.overhead_s);
    Json document = {{"schema", "ascertain.cases/1"},
                     {"torch", worker::loaded_torch_version()},
                     {"device", recording.device.str()},
                     {"cases", operators::cases_document(recording)},
                     {"operators", operators::operators_document(recording, step_s)},
                     {"gemms", operators::gemms_document(recording)},
                     {"step_s", step_s}};
    if (steps) document["steps"] = *steps;
    const auto count = static_cast<std::int64_t>(document["cases"].size());
    const Result<void> written =
        write_whole(path, document.dump(-1, ' ', false, Json::error_handler_t::replace));
    if (!written) return written.error();
    return count;
}

StepWatch::StepWatch(std::string path, Steps steps) : path_(std::move(path)), steps_(steps) {
    watching = this;
    handle_ = at::addGlobalCallback(
        at::RecordFunctionCallback(
            [](const at::RecordFunction& function) -> std::unique_ptr<at::ObserverContext> {
                const std::string_view name = function.name();
                if (!name.starts_with(operators::kOptimizerScope)) return nullptr;
                return std::make_unique<OptimizerScope>();
            },
            &StepWatch::on_optimizer_end)
            .scopes({at::RecordScope::USER_SCOPE}));
    if (steps_.first == 1) session_ = std::make_unique<Session>();
}

StepWatch::~StepWatch() {
    at::removeCallback(handle_);
    watching = nullptr;
}

void StepWatch::on_optimizer_end(const at::RecordFunction&, at::ObserverContext* context) {
    if (context != nullptr && watching != nullptr) watching->step_ended();
}

void StepWatch::step_ended() {
    const std::lock_guard lock(mutex_);
    ++ended_;
    if (ended_ == steps_.last) return write(steps_.last - steps_.first + 1);
    if (ended_ == steps_.first - 1) session_ = std::make_unique<Session>();
}

void StepWatch::finish() {
    const std::lock_guard lock(mutex_);
    if (ended_ >= steps_.last) return;
    say(fmt::format("the process ends after {} optimizer steps, before step {}", ended_,
                    steps_.last));
    if (session_) write(std::max<std::int64_t>(0, ended_ - steps_.first + 1));
}

void StepWatch::write(std::int64_t steps) {
    if (!session_) return;
    const Result<std::int64_t> cases = session_->write(path_, steps);
    session_.reset();
    say(cases ? fmt::format("{} operator cases of {} step{} in {}; replay them with: ascertain ops "
                            "--cases {}",
                            *cases, steps, steps == 1 ? "" : "s", path_, path_)
              : cases.error().text());
}

}  // namespace ascertain::recorder
