// Where a battery works: seeded inputs, a way to the device and back, and the book in which what
// was compared and what was wrong is kept. docs/formulas.md#batteries.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "worker/host/session.hpp"
#include "worker/operators/tamper.hpp"

namespace ascertain::operators::battery {

using Tensors = std::vector<at::Tensor>;

// How much is asked. kLeast is for controls: the first question that compares anything.
enum class Size { kLeast, kQuick, kStandard, kFull };

// How far a result may lie from its fp64 value: `ulps` units in the last place of its dtype at that
// value, plus `spread`, which is absolute.
struct Tolerance {
    double ulps = 0.0;
    double spread = 0.0;
    at::Tensor spreads{};  // fp64, one per element; undefined: `spread` alone
};

class Bench {
public:
    struct Request {
        std::uint64_t seed = 0;
        Size size = Size::kQuick;
        c10::ScalarType dtype = c10::ScalarType::BFloat16;  // the campaign's
        std::string question{};                             // ask this one only; empty: all
        std::optional<Tamper> tamper{};
    };

    Bench(worker::Session& session, Request request);

    [[nodiscard]] at::Device device() const { return session_.device; }
    [[nodiscard]] std::uint64_t seed() const { return request_.seed; }
    [[nodiscard]] Size size() const { return request_.size; }
    [[nodiscard]] bool at_least(Size size) const { return request_.size >= size; }
    // `quick`, or more of it in the longer profiles.
    [[nodiscard]] std::int64_t count(std::int64_t quick, std::int64_t standard) const;
    // The campaign's dtype and fp32, each once.
    [[nodiscard]] std::vector<c10::ScalarType> dtypes() const;

    // One question: `work` computes on the device and calls equal, within or score. What it throws
    // is written down under the question's name and ends that question only: a device that does not
    // offer an operator is one thing, an operator that raises another.
    void ask(const std::string& name, const std::function<void()>& work);
    // Whether ask would do anything: to be spared making expensive inputs.
    [[nodiscard]] bool wants(const std::string& name) const;

    // Preparation that is no question by itself, whatever `wants` says: seeded as one is.
    void measure(const std::string& name, const std::function<void()>& work);

    // Inputs, on the CPU, a pure function of the seed and of the question's name.
    [[nodiscard]] at::Tensor normal(at::IntArrayRef shape, c10::ScalarType dtype);
    [[nodiscard]] at::Tensor uniform(at::IntArrayRef shape, double low, double high,
                                     c10::ScalarType dtype);
    // Whole numbers from low to high, both included.
    [[nodiscard]] at::Tensor whole(at::IntArrayRef shape, std::int64_t low, std::int64_t high,
                                   c10::ScalarType dtype);
    [[nodiscard]] at::Tensor permutation(std::int64_t n);

    [[nodiscard]] at::Tensor put(const at::Tensor& host) const;
    // A device's answer on the CPU, contiguous; here the hidden control corrupts it.
    [[nodiscard]] at::Tensor fetch(const at::Tensor& answer);

    // Whether a device's answer has the same bits as `host`, without keeping a record.
    [[nodiscard]] static bool same_bits(const at::Tensor& answer, const at::Tensor& host);

    // `got` comes from fetch. The same bits, where any NaN is as good as another; `signed_zero`
    // also tells -0 from 0.
    void equal(const at::Tensor& got, const at::Tensor& want, std::string_view what = "",
               bool signed_zero = true);
    // `want` is fp64. Non-finite values must be the same ones.
    void within(const at::Tensor& got, const at::Tensor& want, const Tolerance& tolerance,
                std::string_view what = "");
    // A number that is standard normal on a right device.
    void score(double z, std::string_view what);
    // What the hidden control adds to times; 0 without one.
    [[nodiscard]] double delay_s() const;

    // A measured number over what is allowed.
    void ratio(double over_limit, std::string_view what);
    // A count of faults found by other means.
    void faults(std::int64_t count, std::string_view what);
    // A number for the report that no criterion judges.
    void note(const std::string& name, Json value) { notes_[name] = std::move(value); }

    // {observation, failures[], notes{}, not_offered[], output_hash, questions}
    [[nodiscard]] Json result() const;

private:
    void begin(const std::string& name);
    void fail(std::string_view what, Json row);
    void digest(const at::Tensor& tensor);

    worker::Session& session_;
    Request request_;
    at::Generator generator_;
    std::string question_;  // the one in progress
    std::int64_t asked_ = 0;
    std::int64_t elements_ = 0;
    std::int64_t mismatches_ = 0;
    std::int64_t raised_ = 0;
    std::int64_t not_offered_ = 0;
    std::int64_t scores_ = 0;
    std::int64_t failed_ = 0;
    double bound_ratio_ = 0.0;
    double z_max_ = 0.0;
    std::uint64_t hash_ = 0;
    bool compared_ = false;  // in the question in progress
    std::int64_t bounded_ = 0;
    Json failures_ = Json::array();
    Json unoffered_ = Json::array();
    Json notes_ = Json::object();
};

}  // namespace ascertain::operators::battery
