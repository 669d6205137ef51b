#include "chips/simulated/defects/engine.hpp"

#include <ATen/Context.h>
#include <ATen/record_function.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <unordered_map>

#include "chips/simulated/allocator.hpp"
#include "chips/simulated/defects/effects.hpp"
#include "chips/simulated/device.hpp"
#include "defects/counts.hpp"
#include "defects/read.hpp"
#include "defects/when.hpp"

namespace ascertain::simulated::defects {
namespace {

using ascertain::defects::Defect;
using ascertain::defects::Place;
using ascertain::defects::When;
using Clock = std::chrono::steady_clock;

struct Armed {
    const ascertain::defects::Rule* rule = nullptr;
    std::size_t defect = 0;              // its line in the counts
    std::vector<const Action*> actions;  // of its effect, in the order of their stages
    std::int64_t matched = 0;
    std::int64_t fired = 0;
    Memory memory;
    std::set<std::string> shapes;  // seen, for `new_shape`
};

// One device: what it is armed with, and what `when` asks about it.
struct Chip {
    std::vector<Armed> rules;
    // The rules that name an operator, by its name without namespace and overload.
    std::unordered_map<std::string, std::vector<Armed*>> by_operator;
    double busy_s = 0.0;
    std::int64_t calls_since_sync = 0;
    Clock::time_point last_sync = Clock::now();
    std::set<const void*> places;  // where outputs lay
};

struct State {
    std::mutex mutex;
    std::vector<std::unique_ptr<const std::vector<Defect>>> files;
    std::array<Chip, kDevicesMax> chips;
    std::vector<std::string> ids;  // lines of the counts
    ascertain::defects::Counts counts;
    bool armed = false;
};

// Never destroyed: kernels run while static objects go.
State& state() {
    static auto* made = new State;
    return *made;
}

std::atomic<int> in_flight = 0;

class InFlight {
public:
    InFlight() { ++in_flight; }
    ~InFlight() { --in_flight; }
    InFlight(const InFlight&) = delete;
    InFlight& operator=(const InFlight&) = delete;
};

double since(Clock::time_point moment) {
    return std::chrono::duration<double>(Clock::now() - moment).count();
}

std::vector<const Action*> actions_of(std::string_view kind) {
    std::vector<const Action*> found;
    for (const auto table :
         {run_actions(), input_actions(), value_actions(), sum_actions(), place_actions()}) {
        for (const Action& action : table) {
            if (action.kind == kind) found.push_back(&action);
        }
    }
    std::ranges::stable_sort(found, {}, [](const Action* action) { return action->stage; });
    return found;
}

c10::DeviceIndex index_of(std::int64_t device) {
    return device < 0 ? current_device() : static_cast<c10::DeviceIndex>(device);
}

Chip& chip_of(std::int64_t device) {
    return state().chips[static_cast<std::size_t>(index_of(device))];
}

double allocated_bytes(std::int64_t device) {
    const auto stats = device_memory().getDeviceStats(index_of(device));
    return static_cast<double>(stats.allocated_bytes[0].current);
}

std::string shapes_of(const Call& call) {
    std::string shapes = call.name;
    for (const at::Tensor& tensor : call.tensors) shapes += fmt::format(" {}", tensor.dim());
    for (const at::Tensor& tensor : call.tensors) {
        for (const std::int64_t size : tensor.sizes()) shapes += fmt::format(" {}", size);
    }
    return shapes;
}

// The conditions that do not count calls. Holds the state's lock.
bool matches_now(const Chip& chip, Armed& armed, const Call& call) {
    const When& when = armed.rule->when;
    if (chip.busy_s < when.after_busy_s) return false;
    if (when.without_sync_s > 0.0 && since(chip.last_sync) < when.without_sync_s) return false;
    if (when.after_sync_s > 0.0 && since(chip.last_sync) > when.after_sync_s) return false;
    if (chip.calls_since_sync < when.calls_without_sync) return false;
    if (when.memory_above_bytes > 0.0 && allocated_bytes(call.device) <= when.memory_above_bytes) {
        return false;
    }
    if (when.overlap && in_flight.load() < 2) return false;
    if (when.deterministic && !at::globalContext().deterministicAlgorithms()) return false;
    return !when.new_shape || armed.shapes.insert(shapes_of(call)).second;
}

struct Decision {
    Armed* armed = nullptr;
    std::int64_t number = 0;  // of the matching call, from 0
    bool acts = false;
};

void count(State& all, Armed& armed, std::int64_t matched, std::int64_t fired) {
    armed.matched += matched;
    armed.fired += fired;
    all.counts.add(armed.defect, matched, fired);
}

Decision decision_for(State& all, Armed& armed) {
    const std::int64_t number = armed.matched;
    const bool acts = ascertain::defects::acts(armed.rule->when, number, armed.fired, ::getpid());
    count(all, armed, 1, 0);
    return {&armed, number, acts};
}

std::vector<Decision> decide(const std::vector<Armed*>& rules, const Call& call,
                             const c10::OperatorHandle& op, const torch::jit::Stack& stack) {
    std::vector<Decision> decisions;
    State& all = state();
    const std::lock_guard lock(all.mutex);
    for (Armed* armed : rules) {
        if (!where_fits(armed->rule->where, call, op, stack)) continue;
        if (!matches_now(chip_of(call.device), *armed, call)) continue;
        // Where results will lie is known only when they are there.
        if (armed->rule->when.reused_memory) {
            decisions.push_back({armed, -1, false});
        } else {
            decisions.push_back(decision_for(all, *armed));
        }
    }
    return decisions;
}

std::vector<Output> outputs_of(const c10::OperatorHandle& op, const torch::jit::Stack& stack,
                               const Call& call) {
    if (call.is_view) return {};
    std::vector<Output> outputs = call.written;
    const std::size_t returns = op.schema().returns().size();
    const auto add = [&](const at::Tensor& tensor) {
        const bool known = std::ranges::any_of(
            outputs, [&](const Output& output) { return output.now.is_same(tensor); });
        if (tensor.defined() && !known) outputs.push_back({tensor, {}});
    };
    for (std::size_t i = stack.size() - returns; i < stack.size(); ++i) {
        if (stack[i].isTensor()) add(stack[i].toTensor());
        if (stack[i].isTensorList()) {
            for (const at::Tensor& tensor : stack[i].toTensorVector()) add(tensor);
        }
    }
    return outputs;
}

// One run of the operator with what its rules do.
class Performance {
public:
    Performance(const c10::OperatorHandle& op, torch::jit::Stack& stack, Call call,
                std::vector<Decision> decisions)
        : op_(op), stack_(stack), call_(std::move(call)), decisions_(std::move(decisions)) {}

    void run(const std::function<void()>& kernel) {
        for (const Decision& decision : decisions_) act(decision, Stage::kBefore);
        // Written arguments, and operands that lie in the same memory, are needed as they were.
        for (Output& output : call_.written) output.before = output.now.clone();
        if (call_.product.addend.defined()) {
            call_.product.addend = call_.product.addend.clone();
        }
        for (const Decision& decision : decisions_) act(decision, Stage::kInputs);
        const auto began = Clock::now();
        if (!instead()) kernel();
        elapsed_s_ = since(began);
        outputs_ = outputs_of(op_, stack_, call_);
        see_reuse();
        for (const Decision& decision : decisions_) finish(decision);
    }

private:
    // Another operator with the same arguments, where a rule says so.
    bool instead() {
        for (const Decision& decision : decisions_) {
            const auto& does = decision.armed->rule->does;
            if (!decision.acts || does.kind != "wrong_operator") continue;
            const std::string& as = does.word("as");
            const std::size_t dot = as.find('.');
            const std::string name = "aten::" + as.substr(0, dot);
            const std::string overload =
                dot == std::string::npos ? std::string(call_.overload) : as.substr(dot + 1);
            auto other = c10::Dispatcher::singleton().findSchema({name, overload});
            if (!other) other = c10::Dispatcher::singleton().findSchema({name, ""});
            const bool same =
                other && other->schema().arguments().size() == op_.schema().arguments().size();
            if (!same) continue;
            other->redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), &stack_);
            fired(*decision.armed);
            return true;
        }
        return false;
    }

    void see_reuse() {
        State& all = state();
        const std::lock_guard lock(all.mutex);
        bool reused = false;
        for (const Output& output : outputs_) {
            if (output.before.defined() || output.now.numel() == 0) continue;
            reused |= !chip_of(call_.device).places.insert(output.now.const_data_ptr()).second;
        }
        for (Decision& decision : decisions_) {
            if (decision.number < 0 && reused) decision = decision_for(all, *decision.armed);
        }
    }

    void act(const Decision& decision, Stage stage) {
        if (!decision.acts) return;
        for (const Action* action : decision.armed->actions) {
            if (action->stage != stage) continue;
            Random random(decision.armed->rule->when.seed,
                          static_cast<std::uint64_t>(decision.number) ^ 0x5a5aU);
            Moment moment{.id = state().ids[decision.armed->defect],
                          .does = decision.armed->rule->does,
                          .call = call_,
                          .op = op_,
                          .stack = stack_,
                          .outputs = outputs_,
                          .previous = previous_,
                          .memory = decision.armed->memory,
                          .random = random,
                          .elapsed_s = elapsed_s_,
                          .busy_s = chip_of(call_.device).busy_s};
            // What may end the process is counted first.
            if (stage == Stage::kBefore) fired(*decision.armed);
            const bool done = action->act(moment);
            if (done && stage != Stage::kBefore) fired(*decision.armed);
        }
    }

    void finish(const Decision& decision) {
        Armed& armed = *decision.armed;
        std::vector<at::Tensor> copies;
        if (armed.rule->does.kind == "stale_output") {
            for (const Output& output : outputs_) copies.push_back(output.now.clone());
        }
        {
            const std::lock_guard lock(state().mutex);
            previous_ = std::exchange(armed.memory.previous, std::move(copies));
        }
        act(decision, Stage::kAfter);
    }

    static void fired(Armed& armed) {
        State& all = state();
        const std::lock_guard lock(all.mutex);
        count(all, armed, 0, 1);
    }

    const c10::OperatorHandle& op_;
    torch::jit::Stack& stack_;
    Call call_;
    std::vector<Decision> decisions_;
    std::vector<Output> outputs_;
    std::vector<at::Tensor> previous_;
    double elapsed_s_ = 0.0;
};

void account(std::int64_t device, double seconds) {
    const std::lock_guard lock(state().mutex);
    Chip& chip = chip_of(device);
    chip.busy_s += seconds;
    ++chip.calls_since_sync;
}

// Lines of the counts: one for each id, whatever number of devices it is armed on.
std::size_t line_of(const std::string& id) {
    std::vector<std::string>& ids = state().ids;
    const auto found = std::ranges::find(ids, id);
    if (found != ids.end()) return static_cast<std::size_t>(found - ids.begin());
    ids.push_back(id);
    return ids.size() - 1;
}

void arm(Chip& chip, const std::vector<Defect>& defects) {
    std::size_t rules = 0;
    for (const Defect& defect : defects) rules += defect.rules.size();
    chip.rules.reserve(rules);  // they are pointed to
    for (const Defect& defect : defects) {
        const std::size_t line = line_of(defect.id);
        for (const auto& rule : defect.rules) {
            if (rule.where.place != Place::kOperator) continue;
            Armed armed;
            armed.rule = &rule;
            armed.defect = line;
            armed.actions = actions_of(rule.does.kind);
            chip.rules.push_back(std::move(armed));
            for (const std::string& name : rule.where.operators) {
                chip.by_operator[name].push_back(&chip.rules.back());
            }
            state().armed = true;
        }
    }
}

// What is wrong with the file that a variable names, or "" with its defects in `read`; null where
// the variable names none.
std::string read_file(const std::string& variable, const std::vector<std::string>& operators,
                      const std::vector<Defect>** read) {
    const char* path = std::getenv(variable.c_str());
    if (path == nullptr || *path == '\0') return "";
    std::ifstream file(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (!file) return fmt::format("{}: the defect file cannot be read ({})", path, variable);
    auto defects = ascertain::defects::read_defects(text, path, operators);
    if (!defects) return defects.error().text();
    auto kept = std::make_unique<const std::vector<Defect>>(*std::move(defects));
    *read = state().files.emplace_back(std::move(kept)).get();
    return "";
}

}  // namespace

std::string arm_from_environment(const std::vector<std::string>& operators) {
    const std::vector<Defect>* common = nullptr;
    if (auto wrong = read_file(ascertain::defects::kFileVariable, operators, &common);
        !wrong.empty()) {
        return wrong;
    }
    for (c10::DeviceIndex device = 0; device < device_count(); ++device) {
        const std::vector<Defect>* own = common;
        const std::string variable =
            fmt::format("{}_{}", ascertain::defects::kFileVariable, int{device});
        if (auto wrong = read_file(variable, operators, &own); !wrong.empty()) return wrong;
        if (own != nullptr) arm(chip_of(device), *own);
    }
    State& all = state();
    const char* counts = std::getenv(ascertain::defects::kCountsVariable);
    if (counts == nullptr || *counts == '\0') return "";
    auto opened = ascertain::defects::Counts::open(counts, all.ids);
    if (!opened) return opened.error().text();
    all.counts = *std::move(opened);
    return "";
}

bool armed() noexcept {
    return state().armed;
}

bool falls_back(const c10::OperatorHandle& op) {
    // Torch has one table of kernels for all devices of a type.
    return std::ranges::any_of(state().chips, [&](const Chip& chip) {
        const auto found = chip.by_operator.find(base_name(op));
        return found != chip.by_operator.end() &&
               std::ranges::any_of(found->second, [](const Armed* armed) {
                   return armed->rule->does.kind == "fall_back";
               });
    });
}

void synchronised(c10::DeviceIndex device) {
    if (!armed()) return;
    flush_late_writes(device);
    const std::lock_guard lock(state().mutex);
    Chip& chip = chip_of(device);
    chip.calls_since_sync = 0;
    chip.last_sync = Clock::now();
}

void run_with_defects(const c10::OperatorHandle& op, torch::jit::Stack& stack, std::int64_t device,
                      const std::function<void()>& run) {
    TORCH_CHECK(!device_lost(index_of(device)), "the simulated device is lost");
    const InFlight here;
    const auto began = Clock::now();
    const auto& rules = chip_of(device).by_operator;
    const auto found = rules.find(base_name(op));
    if (found == rules.end()) {
        run();
        return account(device, since(began));
    }
    // What rules compute is none of the operators that the device ran.
    const at::RecordFunctionGuard quiet(false);
    Call call = read_call(op, stack, device);
    std::vector<Decision> decisions = decide(found->second, call, op, stack);
    for (const Decision& decision : decisions) {
        if (decision.armed->rule->does.kind == "fall_back") {
            State& all = state();
            const std::lock_guard lock(all.mutex);
            count(all, *decision.armed, 0, 1);
        }
    }
    if (decisions.empty()) {
        run();
    } else {
        Performance(op, stack, std::move(call), std::move(decisions)).run(run);
    }
    account(device, since(began));
}

}  // namespace ascertain::simulated::defects
