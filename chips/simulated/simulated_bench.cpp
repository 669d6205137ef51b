// What the simulated chip costs beside the CPU that does its work: extra microseconds of one small
// operator, and the ratio of a whole training step. Device and CPU take turns within one run, so
// that a busy machine slows both; one thread, medians over the rounds.
//
//     OMP_WAIT_POLICY=passive ascertain_simulated_bench [rounds]
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "chips/simulated/plugin_for_test.hpp"
#include "model/config.hpp"
#include "model/trial.hpp"
#include "worker/training/model.hpp"
#include "worker/training/optimizer.hpp"

namespace {

using namespace ascertain;
using Clock = std::chrono::steady_clock;

constexpr int kCallsPerSample = 200;

double seconds_of(const std::function<void()>& work) {
    const auto began = Clock::now();
    work();
    return std::chrono::duration<double>(Clock::now() - began).count();
}

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

struct Pair {
    double host_s = 0.0;
    double device_s = 0.0;
};

// Both in turns, after one round that warms up.
Pair measured(int rounds, const std::function<void()>& on_host,
              const std::function<void()>& on_device) {
    std::vector<double> host;
    std::vector<double> device;
    for (int round = 0; round <= rounds; ++round) {
        const double host_s = seconds_of(on_host);
        const double device_s = seconds_of(on_device);
        if (round == 0) continue;
        host.push_back(host_s);
        device.push_back(device_s);
    }
    return {median(host), median(device)};
}

using Operator = std::function<void(const std::vector<at::Tensor>&)>;

struct NamedOperator {
    const char* name;
    Operator run;
};

const std::vector<NamedOperator>& small_operators() {
    static const std::vector<NamedOperator> all{
        {"add", [](const auto& in) { at::add(in[0], in[1]); }},
        {"mul_ in place", [](const auto& in) { at::Tensor(in[0]).mul_(1.0); }},
        {"mm 16 x 16", [](const auto& in) { at::mm(in[0], in[1]); }},
        {"sum", [](const auto& in) { at::sum(in[0]); }},
        {"softmax", [](const auto& in) { at::softmax(in[0], -1); }},
        {"cat of two",
         [](const auto& in) {
             at::cat({in[0], in[1]});
         }},
        {"copy_", [](const auto& in) { at::Tensor(in[0]).copy_(in[1]); }},
        {"transpose, a view", [](const auto& in) { in[0].t(); }},
        {"native_layer_norm", [](const auto& in) { at::layer_norm(in[0], {16}); }},
    };
    return all;
}

void print_operators(int rounds, c10::Device device) {
    const c10::AutoGradMode no_gradients(false);
    std::vector<double> extra;
    fmt::print("{:<20} {:>10} {:>10} {:>10}\n", "16 x 16, fp32", "CPU us", "chip us", "extra us");
    for (const NamedOperator& one : small_operators()) {
        const std::vector<at::Tensor> host{at::rand({16, 16}), at::rand({16, 16})};
        const std::vector<at::Tensor> there{host[0].to(device), host[1].to(device)};
        const auto loop = [&](const std::vector<at::Tensor>& inputs) {
            return [&one, &inputs] {
                for (int call = 0; call < kCallsPerSample; ++call) one.run(inputs);
            };
        };
        const Pair taken = measured(rounds, loop(host), loop(there));
        const double scale = 1e6 / kCallsPerSample;
        extra.push_back((taken.device_s - taken.host_s) * scale);
        fmt::print("{:<20} {:>10.2f} {:>10.2f} {:>10.2f}\n", one.name, taken.host_s * scale,
                   taken.device_s * scale, extra.back());
    }
    fmt::print("extra per small operator: median {:.2f} us, largest {:.2f} us\n\n", median(extra),
               *std::ranges::max_element(extra));
}

// One training step of a model at trial scale: forward, backward, clip, AdamW.
class Trainer {
public:
    Trainer(const model::Architecture& architecture, c10::Device device)
        : architecture_(architecture),
          model_(architecture,
                 {.arithmetic = {.dtype = at::kBFloat16}, .device = device, .seed = 1}),
          optimizer_(model_.parameters(), {}) {
        const at::Tensor tokens =
            at::arange(std::int64_t{16} * 65).mul(7).remainder(architecture.vocab_size);
        const at::Tensor rows = tokens.view({16, 65});
        batch_ =
            training::Batch{rows.narrow(1, 0, 64).contiguous(), rows.narrow(1, 1, 64).contiguous()}
                .to(device);
    }

    void step() {
        model_.parameters().clear_gradients();
        const training::PassResult pass = model_.pass(batch_, {});
        training::backward(pass.loss);
        training::clip_gradients(model_.parameters(), 1.0);
        const c10::AutoGradMode no_gradients(false);
        optimizer_.step(1e-3);
    }

private:
    const model::Architecture& architecture_;
    training::Model model_;
    training::Adamw optimizer_;
    training::Batch batch_;
};

int print_step(int rounds, c10::Device device, const std::string& name) {
    const std::string path = std::string(ASCERTAIN_DATA_DIR) + "/models/" + name + ".json";
    std::ifstream file(path);
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    const auto whole = model::read_config(text, path);
    if (!whole) return std::fputs((whole.error().text() + "\n").c_str(), stderr), 1;
    const auto small = model::trial_scale(*whole, {});
    if (!small) return std::fputs((small.error().text() + "\n").c_str(), stderr), 1;
    Trainer host(*small, at::kCPU);
    Trainer there(*small, device);
    const Pair taken = measured(
        rounds, [&] { host.step(); }, [&] { there.step(); });
    fmt::print(
        "training step of {} at trial size, 16 x 64 tokens, bf16: CPU {:.1f} ms, chip {:.1f} "
        "ms, ratio {:.2f}\n",
        name, taken.host_s * 1e3, taken.device_s * 1e3, taken.device_s / taken.host_s);
    return 0;
}

}  // namespace

int main(int count, char** values) {
    const int rounds = count > 1 ? std::max(1, std::atoi(values[1])) : 15;
    at::set_num_threads(1);
    if (const std::string failure = simulated::load_plugin(); !failure.empty()) {
        return std::fputs((failure + "\n").c_str(), stderr), 1;
    }
    const c10::Device device(c10::DeviceType::PrivateUse1, 0);
    print_operators(rounds, device);
    return print_step(rounds, device, "deepseek-v3") + print_step(rounds, device, "llama-3.1-8b");
}
