// soak: the same steps from the same start, again and again, for as long as asked; between them a
// step of another length. A healthy device
// ends every round with the same bits, in the same memory, with products whose row sums fit.
#include <ATen/ops/abs.h>
#include <ATen/ops/randn.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <map>

#include "base/observation.hpp"
#include "worker/operators/inputs.hpp"
#include "worker/operators/prepare.hpp"
#include "worker/training/job.hpp"
#include "worker/training/metric.hpp"
#include "worker/training/requests.hpp"
#include "worker/training/sides.hpp"

namespace ascertain::training {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kSecondsMax = 7.0 * 86'400.0;
constexpr std::int64_t kStepsMax = 100'000;
constexpr std::int64_t kRoundsMin = 2;   // one alone repeats nothing
constexpr std::size_t kPointsMax = 400;  // of the timeline
constexpr std::size_t kWarmUpRounds = 2;
constexpr std::int64_t kSumRows = 64;
constexpr std::chrono::milliseconds kProgressInterval{500};

double seconds_since(Clock::time_point moment) {
    return std::chrono::duration<double>(Clock::now() - moment).count();
}

// One round: the steps from the same start.
struct Round {
    double at_s = 0.0;  // of its end, since the beginning
    double step_s = 0.0;
    double device_bytes = 0.0;
    double host_bytes = 0.0;
    std::string hash;
};

struct Soak {
    std::vector<Round> rounds;
    std::int64_t steps = 0;
    std::int64_t nonfinite_steps = 0;
    double row_sum_ratio_max = 0.0;
    std::int64_t row_sums = 0;
    double checking_s = 0.0;
    double seconds = 0.0;
};

double host_bytes() {
    std::ifstream file("/proc/self/statm");
    double all = 0.0;
    double resident = 0.0;
    file >> all >> resident;
    return resident * static_cast<double>(::sysconf(_SC_PAGE_SIZE));
}

// What the device's allocator has handed out; 0 where it keeps no books (the CPU).
double device_bytes(at::Device device) {
    if (device.is_cpu()) return 0.0;
    auto* allocator = at::getDeviceAllocator(device.type());
    if (allocator == nullptr) return 0.0;
    return static_cast<double>(
        allocator->getDeviceStats(device.index()).allocated_bytes[0].current);
}

// Row sums of C = X W^T, made twice: by adding up C, and as X (W^T 1). Each side errs by at most
// (k + n) 2^-24 of the sum of |x| |w| in fp32, and by the rounding of C's own elements; the ratio
// is their difference over that bound (docs/formulas.md#row-sums). NaN counts as beyond all bounds.
double row_sum_ratio(const at::Tensor& x, const at::Tensor& weight, at::ScalarType dtype) {
    const at::Tensor w = weight.detach().to(dtype);
    const at::Tensor c = x.mm(w.t()).to(at::kFloat);
    const at::Tensor wide_x = x.to(at::kFloat);
    const at::Tensor wide_w = w.to(at::kFloat);
    const at::Tensor expected = wide_x.mv(wide_w.sum(0));
    const at::Tensor size = wide_x.abs().mv(wide_w.abs().sum(0));
    const double rounding = dtype == at::kFloat  ? std::ldexp(1.0, -24)
                            : dtype == at::kHalf ? std::ldexp(1.0, -11)
                                                 : std::ldexp(1.0, -8);
    const double sums = static_cast<double>(weight.size(0) + weight.size(1)) * std::ldexp(1.0, -24);
    const at::Tensor bound = size.mul(sums).add(c.abs().sum(1).mul(rounding)).add(1e-30);
    const double ratio = c.sum(1).sub(expected).abs().div(bound).max().item<double>();
    return std::isfinite(ratio) ? ratio : 1e30;
}

// Checks one of the model's products after each step, another one each time.
class RowSums {
public:
    RowSums(const Model& model, at::Device device, at::ScalarType dtype) : dtype_(dtype) {
        for (const Parameter& parameter : model.parameters().all()) {
            if (parameter.trained && parameter.value.dim() == 2)
                weights_.push_back(parameter.value);
        }
        for (const at::Tensor& weight : weights_) {
            inputs_.push_back(
                at::randn({kSumRows, weight.size(1)}, at::kFloat).to(dtype).to(device));
        }
    }

    [[nodiscard]] double check(std::int64_t step) const {
        if (weights_.empty()) return 0.0;
        const auto which = static_cast<std::size_t>(step) % weights_.size();
        return row_sum_ratio(inputs_[which], weights_[which], dtype_);
    }

private:
    at::ScalarType dtype_;
    std::vector<at::Tensor> weights_;
    std::vector<at::Tensor> inputs_;
};

std::string hash_of_weights(const Model& model) {
    std::vector<at::Tensor> values;
    for (const Parameter& parameter : model.parameters().all()) {
        values.push_back(parameter.value.detach().to(at::kCPU));
    }
    return operators::hash_of(values);
}

// One step at a length of its own, as real batches have: what a device keeps for every new shape
// adds up. Its result is not compared.
void step_at_another_length(const Job& job, const Side& side, std::size_t round) {
    constexpr std::size_t kLengths = 16;
    Recipe recipe = job.recipe;
    const auto shorter = static_cast<std::int64_t>(1 + round % kLengths);
    recipe.sequence_length = std::max<std::int64_t>(2, recipe.sequence_length - shorter);
    Trainer trainer(job.architecture, recipe,
                    {.arithmetic = side.arithmetic, .device = side.device, .seed = job.seed});
    static_cast<void>(trainer.step({}));
    operators::synchronise(side.device);
}

void run_round(Soak& soak, const Job& job, const Side& side, std::int64_t steps,
               const GradientHook& hook) {
    Trainer trainer(job.architecture, job.recipe,
                    {.arithmetic = side.arithmetic, .device = side.device, .seed = job.seed});
    const RowSums sums(trainer.model(), side.device, job.dtype);
    Round round;
    for (std::int64_t step = 0; step < steps; ++step) {
        const auto began = Clock::now();
        const StepReport report = trainer.step(hook);
        operators::synchronise(side.device);
        round.step_s += seconds_since(began);
        if (!std::isfinite(report.loss) || !std::isfinite(report.grad_norm)) ++soak.nonfinite_steps;
        ++soak.steps;
        const auto checks = Clock::now();
        const c10::AutoGradMode no_gradients(false);
        soak.row_sum_ratio_max = std::max(soak.row_sum_ratio_max, sums.check(soak.steps));
        ++soak.row_sums;
        soak.checking_s += seconds_since(checks);
    }
    round.step_s /= static_cast<double>(steps);
    round.hash = hash_of_weights(trainer.model());
    step_at_another_length(job, side, soak.rounds.size());
    round.device_bytes = device_bytes(side.device);
    round.host_bytes = host_bytes();
    soak.rounds.push_back(std::move(round));
}

double median(std::vector<double> values) {
    if (values.empty()) return 0.0;
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

// The median of the last third over that of the first, warm-up left out.
struct Thirds {
    double first = 0.0;
    double last = 0.0;
};
template <typename Of>
Thirds thirds(const std::vector<Round>& rounds, Of of) {
    const std::size_t begin = rounds.size() > 3 * kWarmUpRounds ? kWarmUpRounds : 0;
    const std::size_t third = std::max<std::size_t>(1, (rounds.size() - begin) / 3);
    std::vector<double> first;
    std::vector<double> last;
    for (std::size_t i = 0; i < third; ++i) {
        first.push_back(of(rounds[begin + i]));
        last.push_back(of(rounds[rounds.size() - 1 - i]));
    }
    return {median(std::move(first)), median(std::move(last))};
}

Observation observation_of(const Soak& soak, std::size_t distinct) {
    const std::size_t rounds = soak.rounds.size();
    const auto device = thirds(soak.rounds, [](const Round& one) { return one.device_bytes; });
    const auto host = thirds(soak.rounds, [](const Round& one) { return one.host_bytes; });
    const auto step = thirds(soak.rounds, [](const Round& one) { return one.step_s; });
    std::vector<double> steps;
    for (const Round& round : soak.rounds) steps.push_back(round.step_s);
    const double slowest = *std::ranges::max_element(steps);
    const double usual = median(steps);
    return {
        metric_of("rounds", static_cast<double>(rounds), "count", rounds),
        metric_of("steps", static_cast<double>(soak.steps), "count", rounds),
        metric_of("distinct_hashes", static_cast<double>(distinct), "count", rounds),
        metric_of("nonfinite_steps", static_cast<double>(soak.nonfinite_steps), "count",
                  static_cast<std::size_t>(soak.steps)),
        metric_of("row_sum_ratio_max", soak.row_sum_ratio_max, "ratio",
                  static_cast<std::size_t>(soak.row_sums)),
        metric_of("device_growth_bytes", device.last - device.first, "B", rounds),
        metric_of("host_growth_bytes", host.last - host.first, "B", rounds),
        metric_of("step_s_median", usual, "s", rounds),
        metric_of("step_drift", step.first > 0.0 ? step.last / step.first : 1.0, "ratio", rounds),
        metric_of("step_outlier", usual > 0.0 ? slowest / usual : 1.0, "ratio", rounds),
        metric_of("checksum_share", soak.checking_s / soak.seconds, "ratio", rounds),
        metric_of("seconds", soak.seconds, "s", 1)};
}

Json timeline_of(const std::vector<Round>& rounds) {
    Json points = Json::array();
    const std::size_t stride = (rounds.size() + kPointsMax - 1) / kPointsMax;
    for (std::size_t i = 0; i < rounds.size(); i += stride) {
        points.push_back({{"at_s", rounds[i].at_s},
                          {"step_s", rounds[i].step_s},
                          {"device_bytes", rounds[i].device_bytes},
                          {"host_bytes", rounds[i].host_bytes}});
    }
    return points;
}

}  // namespace

Result<Json> soak(worker::Session& session, const Json& params) {
    const Result<Job> job = job_from_json(params);
    if (!job) return job.error();
    const auto seconds = number_at(params, "seconds", "params");
    if (!seconds) return seconds.error();
    if (!(*seconds >= 0.0 && *seconds <= kSecondsMax)) {
        return Error{ErrorCode::kBadInput, fmt::format("{} is not within 0 .. 7 days", *seconds),
                     "params: seconds"};
    }
    const auto steps = bounded_integer(params, "steps", 1, kStepsMax, std::nullopt);
    if (!steps) return steps.error();

    const RepeatableKernels repeatable;
    const Side side = device_side(session.device, job->dtype);
    const ThreadCount threads(side.threads);
    Soak soak;
    const auto began = Clock::now();
    Clock::time_point told{};
    while (seconds_since(began) < *seconds ||
           soak.rounds.size() < static_cast<std::size_t>(kRoundsMin)) {
        // A control is a device that changes its mind: it computes right at first.
        run_round(soak, *job, side, *steps, soak.rounds.empty() ? GradientHook() : job->hook());
        soak.rounds.back().at_s = seconds_since(began);
        if (!session.progress || Clock::now() - told < kProgressInterval) continue;
        told = Clock::now();
        session.progress(std::min(1.0, seconds_since(began) / std::max(1.0, *seconds)),
                         fmt::format("round {}, step {}", soak.rounds.size(), soak.steps),
                         {{"steps", soak.steps}, {"step_s", soak.rounds.back().step_s}});
    }
    soak.seconds = seconds_since(began);
    std::map<std::string, std::int64_t> hashes;
    for (const Round& round : soak.rounds) ++hashes[round.hash];
    Json counted = Json::object();
    for (const auto& [hash, count] : hashes) counted[hash] = count;
    Json answer = {{"observation", to_json(observation_of(soak, hashes.size()))},
                   {"hashes", std::move(counted)},
                   {"timeline", timeline_of(soak.rounds)},
                   {"device_side", side.description}};
    if (job->tamper) answer["tampered"] = true;
    return answer;
}

}  // namespace ascertain::training
