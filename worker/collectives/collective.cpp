// collective: the same collective again and again, its data checked every time.
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

#include "base/observation.hpp"
#include "worker/collectives/diagnosis.hpp"
#include "worker/collectives/group.hpp"
#include "worker/collectives/planted.hpp"
#include "worker/collectives/requests.hpp"
#include "worker/operators/dtype.hpp"
#include "worker/operators/prepare.hpp"
#include "worker/operators/tamper.hpp"

namespace ascertain::collectives {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kWhere = "collective";
constexpr std::int64_t kIterationsMax = 1'000'000;
constexpr std::int64_t kElementsMax = std::int64_t{1} << 34;
constexpr std::size_t kFindingsMax = 20;  // of one case
constexpr double kReportInterval_s = 0.25;

// One entry of params.cases.
struct Case {
    Payload payload;
    at::ScalarType dtype = at::kFloat;
    std::int64_t iterations = 1;
    bool repeats =
        false;  // the same fractions every time, whose sum must come out in the same bits
};

struct Question {
    std::vector<Case> cases;
    bool timed = false;
    bool compute = false;
    std::optional<operators::Tamper> tamper;
};

// The largest whole number up to which all are numbers of the dtype: 2^precision.
std::int64_t exact_limit(at::ScalarType dtype) {
    if (dtype == at::kBool) return 1;
    return std::int64_t{1} << operators::format_of(dtype).precision;
}

bool adds_up(at::ScalarType dtype) {
    return dtype == at::kBool || dtype == at::kFloat || dtype == at::kDouble ||
           dtype == at::kHalf || dtype == at::kBFloat16;
}

Result<Case> case_from(const Json& entry, std::uint64_t seed, int ranks) {
    const auto kind_name = text_at(entry, "kind", kWhere);
    if (!kind_name) return kind_name.error();
    const auto kind = kind_from(*kind_name);
    if (!kind) return kind.error();
    const auto dtype_name = text_at(entry, "dtype", kWhere);
    if (!dtype_name) return dtype_name.error();
    const auto dtype = operators::dtype_from(*dtype_name);
    if (!dtype) return dtype.error();
    const auto elements = integer_at(entry, "elements", kWhere);
    if (!elements) return elements.error();
    const auto iterations = integer_at(entry, "iterations", kWhere);
    if (!iterations) return iterations.error();
    if (*elements < 1 || *elements > kElementsMax || *iterations < 1 ||
        *iterations > kIterationsMax) {
        return Error{ErrorCode::kBadInput, "elements or iterations is out of range",
                     std::string(kWhere)};
    }
    if (reduces(*kind) && !adds_up(*dtype)) {
        return Error{
            ErrorCode::kUnsupported,
            fmt::format("{} of {}: sums are made in wider formats", *kind_name, *dtype_name),
            std::string(kWhere)};
    }
    Case one;
    one.dtype = *dtype;
    one.iterations = *iterations;
    one.payload.kind = *kind;
    one.payload.seed = seed;
    one.payload.ranks = ranks;
    one.payload.elements = *kind == Kind::kBarrier ? 0 : *elements;
    one.payload.exact_limit = reduces(*kind) ? exact_limit(*dtype) : 0;
    one.repeats = entry.value("repeats", false) && reduces(*kind) && *dtype != at::kBool;
    one.payload.element_bytes = static_cast<std::int64_t>(c10::elementSize(*dtype));
    return one;
}

Result<Question> question_from(const Json& params, int ranks) {
    Question question;
    const auto seed = integer_at(params, "seed", kWhere);
    if (!seed) return seed.error();
    const auto cases = params.find("cases");
    if (cases == params.end() || !cases->is_array() || cases->empty()) {
        return Error{ErrorCode::kBadInput, "\"cases\" must be a list that holds something",
                     std::string(kWhere)};
    }
    for (const Json& entry : *cases) {
        auto one = case_from(entry, static_cast<std::uint64_t>(*seed), ranks);
        if (!one) return one.error();
        question.cases.push_back(*std::move(one));
    }
    question.timed = params.value("timed", false);
    question.compute = params.value("compute", false);
    auto tamper = operators::tamper_from(params);
    if (!tamper) return tamper.error();
    question.tamper = *std::move(tamper);
    return question;
}

// ---- tensors of payloads ----

at::Tensor from_bytes(std::vector<std::uint8_t> bytes, at::ScalarType dtype) {
    const auto count = static_cast<std::int64_t>(bytes.size());
    return at::from_blob(bytes.data(), {count}, at::kByte).clone().view(dtype);
}

at::Tensor sent_by(const Case& one, std::int64_t iteration, int rank) {
    const Payload& payload = one.payload;
    if (reduces(payload.kind)) {
        std::vector<std::int32_t> own(static_cast<std::size_t>(elements_in(payload)));
        for (std::size_t i = 0; i < own.size(); ++i) {
            own[i] = contribution(payload, one.repeats ? 0 : iteration, rank,
                                  static_cast<std::int64_t>(i));
        }
        const at::Tensor whole = at::from_blob(own.data(), {elements_in(payload)}, at::kInt);
        // Thirds are no binary fractions: their sums show in which order they were added.
        return one.repeats ? whole.to(at::kDouble).div(3.0).to(one.dtype) : whole.to(one.dtype);
    }
    std::vector<std::uint8_t> bytes;
    const int pieces = payload.kind == Kind::kAllToAll ? payload.ranks : 1;
    for (int to = 0; to < pieces; ++to) {
        const auto own = piece(payload, iteration, rank, to);
        bytes.insert(bytes.end(), own.begin(), own.end());
    }
    return from_bytes(std::move(bytes), one.dtype);
}

at::Tensor expected_at(const Case& one, std::int64_t iteration, int rank) {
    const Payload& payload = one.payload;
    if (reduces(payload.kind)) {
        auto sums = reduced(payload, iteration, rank);
        return at::from_blob(sums.data(), {payload.elements}, at::kInt).to(one.dtype);
    }
    std::vector<std::uint8_t> bytes;
    for (const int from : senders(payload, rank)) {
        const auto part = piece(payload, iteration, from, rank);
        bytes.insert(bytes.end(), part.begin(), part.end());
    }
    return from_bytes(std::move(bytes), one.dtype);
}

// The same elements in the same order, every second time as the transposed view of a matrix:
// a library that looks at memory and not at strides sends something else then.
at::Tensor laid_out(const at::Tensor& flat, std::int64_t iteration) {
    const bool strided = iteration % 2 == 1 && flat.numel() % 2 == 0 && flat.numel() > 2;
    if (!strided) return flat;
    at::Tensor matrix = at::empty({flat.numel() / 2, 2}, flat.options()).t();
    matrix.copy_(flat.view({2, flat.numel() / 2}));
    return matrix;
}

// A backend has no name for 8-bit floating-point numbers, and none is needed to move them.
at::Tensor as_sent(const at::Tensor& tensor) {
    return tensor.element_size() == 1 && tensor.scalar_type() != at::kBool ? tensor.view(at::kByte)
                                                                           : tensor;
}

std::vector<Finding> diagnose(const Case& one, std::int64_t iteration, int rank,
                              const at::Tensor& got) {
    if (reduces(one.payload.kind)) {
        const at::Tensor numbers = got.to(at::kDouble).contiguous();
        return diagnose_sum(
            one.payload, iteration, rank,
            {numbers.const_data_ptr<double>(), static_cast<std::size_t>(numbers.numel())});
    }
    const at::Tensor bytes = got.contiguous().view(at::kByte);
    return diagnose_move(
        one.payload, iteration, rank,
        {bytes.const_data_ptr<std::uint8_t>(), static_cast<std::size_t>(bytes.numel())});
}

// ---- running ----

// Keeps the device busy while collectives run.
class Compute {
public:
    Compute(bool wanted, at::Device device) {
        if (wanted) thread_ = std::thread([this, device] { multiply(device); });
    }
    Compute(const Compute&) = delete;
    Compute& operator=(const Compute&) = delete;
    ~Compute() {
        stop_ = true;
        if (thread_.joinable()) thread_.join();
    }

private:
    void multiply(at::Device device) {
        try {
            const at::Tensor ones = at::ones({256, 256}, at::TensorOptions().device(device));
            while (!stop_) {
                at::mm(ones, ones);
                operators::synchronise(device);
            }
        } catch (const std::exception&) {
            // What the device computes is the business of other requests.
        }
    }

    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

class Runner {
public:
    Runner(worker::Session& session, Group& group, const Question& question)
        : session_(session), group_(group), question_(question) {}

    Json run() {
        const Compute compute(question_.compute, session_.device);
        Json cases = Json::array();
        for (const Case& one : question_.cases) {
            cases.push_back(run_case(one));
            if (!stopped_.is_null()) break;
        }
        Observation observation;
        observation.push_back(count("mismatches", mismatches_));
        observation.push_back(count("wrong_collectives", wrong_));
        observation.push_back(count("unrepeated", unrepeated_));
        observation.push_back(count("collectives", done_));
        Json result = {{"observation", to_json(observation)},
                       {"backend", group_.fabric->backend()},
                       {"staged", !session_.device.is_cpu()},
                       {"cases", std::move(cases)}};
        if (!stopped_.is_null()) result["stopped"] = stopped_;
        if (question_.tamper) result["tampered"] = true;
        return result;
    }

private:
    static Metric count(const char* name, std::int64_t value) {
        Metric metric;
        metric.metric = name;
        metric.value = static_cast<double>(value);
        metric.unit = "count";
        return metric;
    }

    Json run_case(const Case& one) {
        const bool emulated = group_.fabric->emulates(one.payload.kind);
        Json seconds = Json::array();
        Json findings = Json::array();
        std::int64_t mismatches = 0;
        at::Tensor first;
        for (std::int64_t i = 0; i < one.iterations; ++i) {
            tell(one);
            at::Tensor out;
            const std::optional<double> taken = run_once(one, i, out);
            if (!taken) break;
            ++done_;
            if (question_.timed && !emulated) seconds.push_back(*taken);
            if (one.repeats) {
                if (i == 0) first = out;
                unrepeated_ += out.ne(first).sum().item<std::int64_t>();
                continue;
            }
            for (const Finding& finding : check(one, i, out)) {
                mismatches += finding.wrong;
                if (findings.size() < kFindingsMax) findings.push_back(to_json(finding));
            }
        }
        mismatches_ += mismatches;
        return {{"kind", name_of(one.payload.kind)},
                {"dtype", operators::name_of(one.dtype)},
                {"elements", one.payload.elements},
                {"bytes", std::max(elements_in(one.payload), elements_out(one.payload)) *
                              one.payload.element_bytes},
                {"iterations", one.iterations},
                {"repeats", one.repeats},
                {"emulated", emulated},
                {"seconds", std::move(seconds)},
                {"mismatches", mismatches},
                {"findings", std::move(findings)}};
    }

    // Seconds from the moment all ranks were ready; nothing when another rank did not come.
    std::optional<double> run_once(const Case& one, std::int64_t iteration, at::Tensor& out) {
        Fabric& fabric = *group_.fabric;
        const bool no_data = one.payload.kind == Kind::kBarrier;
        const at::Tensor in = no_data ? at::empty({0}, at::kByte)
                                      : laid_out(as_sent(sent_by(one, iteration, fabric.rank())),
                                                 one.repeats ? 0 : iteration)
                                            .to(session_.device);
        ++group_.number;
        auto began = Clock::now();
        try {
            at::Tensor received =
                at::empty({elements_out(one.payload)}, in.options().device(at::kCPU));
            if (question_.timed) {
                at::Tensor nothing;
                fabric.run(Kind::kBarrier, nothing, nothing);
                began = Clock::now();
            }
            const planted::Moment moment{fabric, one.payload.kind, question_.compute};
            planted::run(moment, in.to(at::kCPU), received);
            out = received.to(session_.device);
            operators::synchronise(session_.device);
            if (question_.tamper && question_.tamper->kind == operators::TamperKind::kSlow) {
                std::this_thread::sleep_for(
                    std::chrono::duration<double>(question_.tamper->seconds));
            }
        } catch (const c10::Error&) {
            leave_group(session_);
            throw;
        } catch (const std::exception& why) {
            stopped_ = stopped(name_of(one.payload.kind), group_.number, {since(began)}, why);
            return std::nullopt;
        }
        return since(began);
    }

    std::vector<Finding> check(const Case& one, std::int64_t iteration, const at::Tensor& out) {
        if (one.payload.kind == Kind::kBarrier) return {};
        at::Tensor got = out;
        if (question_.tamper) {
            std::vector<operators::Output> outputs{{"received", out.to(at::kCPU)}};
            operators::corrupt(*question_.tamper, outputs);
            got = outputs[0].value.to(session_.device);
        }
        const int rank = group_.fabric->rank();
        const at::Tensor expected = as_sent(expected_at(one, iteration, rank)).to(session_.device);
        const bool by_bytes = !reduces(one.payload.kind);
        const at::Tensor differs =
            by_bytes ? got.view(at::kByte).ne(expected.view(at::kByte)) : got.ne(expected);
        if (!differs.any().item<bool>()) return {};
        ++wrong_;
        auto findings = diagnose(one, iteration, rank, got.to(at::kCPU));
        // The device says that numbers differ which are equal on the host: its comparison, or the
        // copy, is wrong.
        if (findings.empty()) {
            Finding finding;
            finding.iteration = iteration;
            finding.culprit = rank;
            finding.wrong = differs.to(at::kCPU).sum().item<std::int64_t>();
            findings.push_back(finding);
        }
        return findings;
    }

    void tell(const Case& one) {
        if (!session_.progress || since(told_) < kReportInterval_s) return;
        told_ = Clock::now();
        std::int64_t all = 0;
        for (const Case& each : question_.cases) all += each.iterations;
        const std::int64_t number = group_.number + 1;
        session_.progress(static_cast<double>(done_) / static_cast<double>(all),
                          fmt::format("{} number {}", name_of(one.payload.kind), number),
                          {{"collective", name_of(one.payload.kind)}, {"number", number}});
    }

    static double since(Clock::time_point moment) {
        return std::chrono::duration<double>(Clock::now() - moment).count();
    }

    worker::Session& session_;
    Group& group_;
    const Question& question_;
    Json stopped_;
    std::int64_t mismatches_ = 0;
    std::int64_t wrong_ = 0;
    std::int64_t unrepeated_ = 0;
    std::int64_t done_ = 0;
    Clock::time_point told_{};
};

}  // namespace

Result<Json> collective(worker::Session& session, const Json& params) {
    const std::shared_ptr<Group> group = group_of(session);
    if (group == nullptr) {
        return Error{ErrorCode::kBadInput, "this worker has not joined a group: rendezvous first",
                     std::string(kWhere)};
    }
    const auto question = question_from(params, group->fabric->ranks());
    if (!question) return question.error();
    Json result = Runner(session, *group, *question).run();
    if (result.contains("stopped")) leave_group(session);
    return result;
}

}  // namespace ascertain::collectives
