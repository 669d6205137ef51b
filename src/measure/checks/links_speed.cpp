// links.speed: how long does each collective take at each size? A latency and a bandwidth are
// fitted to the slowest rank's times. It bounds nothing by itself: a slow network may be the right
// one.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "measure/checks/answers.hpp"
#include "measure/checks/company.hpp"
#include "measure/checks/steps.hpp"

namespace ascertain::checks {
namespace {

constexpr std::array kKinds{"all_reduce", "all_gather", "reduce_scatter",
                            "all_to_all", "broadcast",  "send_recv"};
constexpr std::int64_t kElementBytes = 2;  // bf16

// Pieces of one rank, in bytes.
std::vector<std::int64_t> sizes_of(Profile profile) {
    std::vector<std::int64_t> sizes;
    const std::int64_t largest = profile == Profile::kQuick ? 1 << 18 : 1 << 24;
    for (std::int64_t bytes = 1 << 10; bytes <= largest; bytes *= 4) sizes.push_back(bytes);
    return sizes;
}

Ask ask(const Context& context) {
    const std::int64_t iterations = context.profile == Profile::kQuick ? 5 : 20;
    Json cases = Json::array();
    for (const char* kind : kKinds) {
        for (const std::int64_t bytes : sizes_of(context.profile)) {
            cases.push_back({{"kind", kind},
                             {"dtype", "bf16"},
                             {"elements", bytes / kElementBytes},
                             {"iterations", iterations}});
        }
    }
    const Seconds expected = context.profile == Profile::kQuick ? Seconds{6.0} : Seconds{120.0};
    return {.state = {{"joining", "done"}},
            .requests = {collective_request(context, {{"cases", std::move(cases)}, {"timed", true}},
                                            expected)}};
}

// The times of one size: those of the slowest rank, iteration by iteration.
struct Point {
    double bytes = 0.0;
    std::vector<double> seconds;
};
using Curves = std::map<std::string, std::vector<Point>>;

double quantile(std::vector<double> values, double share) {
    std::ranges::sort(values);
    const auto last = static_cast<double>(values.size() - 1);
    return values[static_cast<std::size_t>(share * last + 0.5)];
}

// False when the ranks did not answer about the same cases.
bool add_case(Curves& curves, std::span<const Answer> answers, std::size_t index) {
    const Json& first = answers[0].result["cases"][index];
    Point point;
    point.bytes = first.value("bytes", 0.0);
    for (const Answer& answer : answers) {
        const auto times = numbers_of(answer.result["cases"][index].value("seconds", Json()));
        if (point.seconds.empty()) point.seconds.resize(times.size(), 0.0);
        if (times.size() != point.seconds.size()) return false;
        for (std::size_t i = 0; i < times.size(); ++i) {
            if (!times[i]) return false;
            point.seconds[i] = std::max(point.seconds[i], *times[i]);
        }
    }
    // What is emulated has no times.
    if (!point.seconds.empty()) curves[first.value("kind", "")].push_back(std::move(point));
    return true;
}

// t = latency + bytes / rate, by least squares with weights 1 / t^2: every size counts alike.
struct Fit {
    double latency_s = 0.0;
    double seconds_per_byte = 0.0;
    double latency_error = 0.0;  // 95 % half-width
    double slope_error = 0.0;
};

std::optional<Fit> fit_of(const std::vector<Point>& curve) {
    double w = 0.0;
    double wx = 0.0;
    double wy = 0.0;
    double wxx = 0.0;
    double wxy = 0.0;
    for (const Point& point : curve) {
        const double y = quantile(point.seconds, 0.5);
        if (!(y > 0.0)) return std::nullopt;
        const double weight = 1.0 / (y * y);
        w += weight;
        wx += weight * point.bytes;
        wy += weight * y;
        wxx += weight * point.bytes * point.bytes;
        wxy += weight * point.bytes * y;
    }
    const double determinant = w * wxx - wx * wx;
    if (curve.size() < 3 || !(determinant > 0.0)) return std::nullopt;
    Fit fit;
    fit.seconds_per_byte = (w * wxy - wx * wy) / determinant;
    fit.latency_s = (wxx * wy - wx * wxy) / determinant;
    double rest = 0.0;
    for (const Point& point : curve) {
        const double y = quantile(point.seconds, 0.5);
        const double off = y - fit.latency_s - fit.seconds_per_byte * point.bytes;
        rest += off * off / (y * y);
    }
    constexpr double kTwoErrors = 2.0;  // about 95 %
    const double variance = rest / static_cast<double>(curve.size() - 2);
    fit.slope_error = kTwoErrors * std::sqrt(variance * w / determinant);
    fit.latency_error = kTwoErrors * std::sqrt(variance * wxx / determinant);
    return fit;
}

// What the busiest link carries per byte of the message: nccl-tests, doc/PERFORMANCE.md.
double bus_factor(std::string_view kind, double ranks) {
    if (kind == "all_reduce") return 2.0 * (ranks - 1.0) / ranks;
    if (kind == "all_gather" || kind == "reduce_scatter" || kind == "all_to_all") {
        return (ranks - 1.0) / ranks;
    }
    return 1.0;
}

void add_fit(Done& done, const std::string& kind, const std::vector<Point>& curve, double ranks) {
    Json points = Json::array();
    for (const Point& point : curve) {
        points.push_back({{"bytes", point.bytes},
                          {"seconds", quantile(point.seconds, 0.5)},
                          {"low", quantile(point.seconds, 0.1)},
                          {"high", quantile(point.seconds, 0.9)}});
    }
    const auto fit = fit_of(curve);
    const bool sensible = fit && fit->seconds_per_byte > 0.0;
    if (sensible) {
        Metric latency = metric_of(kind + "_latency_s", std::max(0.0, fit->latency_s), "s");
        latency.low = std::max(0.0, fit->latency_s - fit->latency_error);
        latency.high = fit->latency_s + fit->latency_error;
        latency.n = static_cast<std::int64_t>(curve.size());
        const double factor = bus_factor(kind, ranks);
        Metric rate = metric_of(kind + "_bus_bytes_per_s", factor / fit->seconds_per_byte, "B/s");
        rate.low = factor / (fit->seconds_per_byte + fit->slope_error);
        if (fit->seconds_per_byte > fit->slope_error) {
            rate.high = factor / (fit->seconds_per_byte - fit->slope_error);
        }
        rate.n = latency.n;
        done.observation.push_back(std::move(latency));
        done.observation.push_back(std::move(rate));
    }
    done.detail["curves"].push_back({{"kind", kind}, {"points", std::move(points)}});
}

Step finish(const Context& context, std::span<const Answer> answers) {
    for (const Answer& answer : answers) {
        if (answer.kind != AnswerKind::kResult) return give_up(answer);
        const bool same = answer.result.contains("cases") && answer.result["cases"].is_array() &&
                          answer.result["cases"].size() == answers[0].result["cases"].size();
        if (!same) return harness_error("links.speed: ranks answered about other cases");
    }
    Curves curves;
    double samples = 0.0;
    for (std::size_t i = 0; i < answers[0].result["cases"].size(); ++i) {
        if (!add_case(curves, answers, i)) {
            return harness_error("links.speed: ranks timed another number of iterations");
        }
    }
    for (const auto& [kind, curve] : curves) {
        for (const Point& point : curve) samples += static_cast<double>(point.seconds.size());
    }
    if (samples < 1.0) return harness_error("links.speed: nothing was timed");
    Done done;
    done.observation = {metric_of("samples_timed", samples, "count"),
                        metric_of("ranks", static_cast<double>(answers.size()), "count"),
                        absent_metric("share_of_floor", "ratio",
                                      "the ranks are processes of one machine: loopback has no "
                                      "floor")};
    done.detail = {{"transport", "loopback of one machine"},
                   {"backend", answers[0].result.value("backend", "")},
                   {"curves", Json::array()}};
    const auto ranks = static_cast<double>(context.devices.size());
    for (const auto& [kind, curve] : curves) add_fit(done, kind, curve, ranks);
    return done;
}

}  // namespace

Step links_speed(const Context& context, const Json& state, std::span<const Answer> answers) {
    if (parameter(context, "links", Json::value_t::array) == nullptr) {
        return harness_error("links.speed needs the messages of the plan");
    }
    if (auto why = no_fabric(context)) return *std::move(why);
    if (auto step = join(context, state, answers)) return *std::move(step);
    if (just_joined(state)) return ask(context);
    if (answers.size() != context.devices.size()) {
        return harness_error("not every rank answered once");
    }
    return finish(context, answers);
}

}  // namespace ascertain::checks
