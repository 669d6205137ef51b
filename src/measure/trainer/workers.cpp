#include "measure/trainer/workers.hpp"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

namespace ascertain::trainer {
namespace {

using device::Ending;
using device::Reply;

constexpr Seconds kToldEvery{0.5};
constexpr std::size_t kRecordedBytesMax = 256u << 20;

template <typename Member>
Json series(const std::vector<Point>& points, Member member) {
    Json list = Json::array();
    for (const Point& point : points) {
        const std::optional<double>& value = point.*member;
        if (value) list.push_back(Json::array({point.step, finite_or_null(*value)}));
    }
    return list;
}

// Which fault is whose: a trainer that fails, hangs or diverges says something of device and
// software; one whose numbers cannot be read says nothing at all.
std::string error_kind_of(RunEnd end) {
    const bool nothing_learnt = end == RunEnd::kNoMetrics || end == RunEnd::kNotKilled;
    if (nothing_learnt) return "no_reference";
    return end == RunEnd::kNotStarted ? "internal" : "device_error";
}

Json result_of(const RunReport& report) {
    const auto or_null = [](const std::optional<std::int64_t>& step) {
        return step ? Json(*step) : Json();
    };
    return {{"losses", series(report.points, &Point::loss)},
            {"grad_norms", series(report.points, &Point::grad_norm)},
            {"held_out_losses", series(report.points, &Point::held_out)},
            {"steps_named", report.steps_named},
            {"killed_at", or_null(report.killed_at)},
            {"resumed_from", or_null(report.resumed_from)},
            {"seconds", report.duration.count},
            {"output_bytes", report.output_bytes},
            {"malformed_lines", report.malformed_lines},
            {"left_behind", report.left_behind}};
}

bool is_killed(const Json& params) {
    return params.contains("kill_at");
}
std::string run_name(std::size_t member, const Json& params) {
    return fmt::format("{}-{}{}", member == 0 ? "device" : "reference",
                       params.value("replica", std::int64_t{0}),
                       is_killed(params) ? "-killed" : "");
}
std::string run_key(std::size_t member, const Json& params) {
    return fmt::format("{} seed {}", run_name(member, params), params.value("seed", Json()).dump());
}

void scale(Json& list, double factor, std::int64_t from) {
    for (Json& entry : list) {
        if (entry[1].is_number() && entry[0].get<std::int64_t>() >= from) {
            entry[1] = entry[1].get<double>() * factor;
        }
    }
}

}  // namespace

Reply reply_of(const RunReport& report) {
    Reply reply;
    reply.duration = report.duration;
    // Its points are the answer, broken as they are.
    if (report.end == RunEnd::kCompleted || report.end == RunEnd::kDiverged) {
        reply.ending = Ending::kResult;
        reply.result = result_of(report);
        return reply;
    }
    reply.ending = Ending::kError;
    reply.error_kind = error_kind_of(report.end);
    reply.message = report.message;
    reply.stderr_text = report.tail;
    return reply;
}

Json tampered(const Json& tamper, Json result) {
    const std::string kind = tamper.value("kind", "");
    const double factor = 1.0 + tamper.value("amount", 0.0);
    if (kind == "nonfinite" && !result["losses"].empty()) result["losses"][0][1] = nullptr;
    if (kind == "scale") {
        scale(result["losses"], factor, std::numeric_limits<std::int64_t>::min());
        scale(result["held_out_losses"], factor, std::numeric_limits<std::int64_t>::min());
    }
    if (kind == "scale_resumed" && result["resumed_from"].is_number()) {
        const auto from = result["resumed_from"].get<std::int64_t>();
        scale(result["losses"], factor, from);
        scale(result["held_out_losses"], factor, from);
    }
    result["tampered"] = true;
    return result;
}

Result<RunReport> read_recorded(const std::string& path, const MetricSource& source) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return Error{ErrorCode::kEnvironment, "cannot be read", path};
    MetricReader reader(source.names, source.pattern);
    std::string buffer(64u << 10, '\0');
    std::size_t taken = 0;
    while (file && taken < kRecordedBytesMax) {
        file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
        const auto got = static_cast<std::size_t>(file.gcount());
        reader.feed(std::string_view(buffer).substr(0, got));
        taken += got;
    }
    reader.finish();
    if (reader.points().empty()) {
        return Error{ErrorCode::kBadInput,
                     fmt::format("no metric in its {} lines ({} are no JSON)", reader.lines(),
                                 reader.malformed()),
                     path};
    }
    RunReport report;
    report.end = RunEnd::kCompleted;
    report.points = reader.points();
    report.steps_named = reader.steps_named();
    report.malformed_lines = reader.malformed();
    return report;
}

TrainerWorkers::TrainerWorkers(TrainerSetup setup, const device::Clock& clock)
    : setup_(std::move(setup)), clock_(clock), jobs_(2) {}

void TrainerWorkers::ask(std::size_t member, device::Order order) {
    Job& job = jobs_.at(member);
    ASCERTAIN_ASSERT(!job.asked);
    job = Job{};
    job.asked = true;
    job.params = std::move(order.params);
    job.began = job.told = clock_.now();
    if (order.request == "run_trainer") return start(member, job);
    Reply reply;
    reply.ending = Ending::kError;
    reply.error_kind = "unsupported";
    reply.message = fmt::format("a trainer does not answer {}", order.request);
    job.ready = std::move(reply);
}

void TrainerWorkers::start(std::size_t member, Job& job) {
    const Json& params = job.params;
    const std::string name = run_name(member, params);
    const bool from_record = params.value("recorded", false);
    const auto told = told_.find(from_record ? name : run_key(member, params));
    if (told != told_.end()) {
        Reply reply;
        reply.ending = Ending::kResult;
        reply.result =
            params.contains("tamper") ? tampered(params["tamper"], told->second) : told->second;
        job.ready = std::move(reply);
        return;
    }
    const Side& own = side(member);
    const auto replica = params.value("replica", std::size_t{0});
    if (!own.recorded.empty() && replica < own.recorded.size() && !is_killed(params)) {
        job.ready = reply_to(member, params, own.recorded[replica]);
        return;
    }
    if (own.command.empty() || from_record) {
        Reply reply;
        reply.ending = Ending::kError;
        reply.error_kind = "no_reference";
        reply.message = fmt::format("there is no record of {}", name);
        job.ready = std::move(reply);
        return;
    }
    WatchSpec spec;
    spec.command = own.command;
    spec.resume_command = own.resume_command.empty() ? own.command : own.resume_command;
    spec.folder = fmt::format("{}/{:03}-{}", setup_.folder, ++runs_, name);
    std::error_code failed;
    std::filesystem::create_directories(spec.folder, failed);
    spec.environment = {{"ASCERTAIN_DEVICE", own.device},
                        {"ASCERTAIN_SEED", params.value("seed", Json(0)).dump()},
                        {"ASCERTAIN_OUT", spec.folder}};
    spec.source = setup_.source;
    spec.limits = setup_.limits;
    if (is_killed(params)) {
        spec.kill_at = params["kill_at"].get<std::int64_t>();
        spec.kill_delay = params.value("kill_delay", 0.0);
    }
    job.watch = std::make_unique<Watch>(std::move(spec), clock_.now());
}

Reply TrainerWorkers::reply_to(std::size_t member, const Json& params, const RunReport& report) {
    Reply reply = reply_of(report);
    if (reply.ending != Ending::kResult) return reply;
    told_.insert_or_assign(run_key(member, params), reply.result);
    told_.insert_or_assign(run_name(member, params), reply.result);
    if (params.contains("tamper")) reply.result = tampered(params["tamper"], reply.result);
    return reply;
}

std::vector<device::Event> TrainerWorkers::poll(Seconds wait) {
    std::vector<device::Event> events;
    double running = 0.0;
    for (const Job& job : jobs_) running += job.watch ? 1.0 : 0.0;
    for (std::size_t member = 0; member < jobs_.size(); ++member) {
        Job& job = jobs_[member];
        if (!job.asked) continue;
        if (job.ready) {
            Reply reply = *std::move(job.ready);
            job = Job{};
            events.push_back({member, std::move(reply)});
            continue;
        }
        const Seconds now = clock_.now();
        if (job.watch->poll(wait / running, now)) {
            Reply reply = reply_to(member, job.params, job.watch->report());
            job = Job{};
            events.push_back({member, std::move(reply)});
        } else if (now - job.told > kToldEvery) {
            job.told = now;
            const auto& points = job.watch->points();
            const std::string text =
                points.empty()
                    ? fmt::format("{}: no metric yet", run_name(member, job.params))
                    : fmt::format("{}: step {}", run_name(member, job.params), points.back().step);
            events.push_back(
                {member, device::Progress{(now - job.began) / setup_.limits.total, text, Json()}});
        }
    }
    return events;
}

void TrainerWorkers::kill_all() {
    for (Job& job : jobs_) job = Job{};
}

}  // namespace ascertain::trainer
