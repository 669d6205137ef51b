#include "chips/simulated/defects/engine.hpp"

#include <ATen/record_function.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <torch/csrc/autograd/graph_task.h>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>

#include "base/random.hpp"
#include "chips/simulated/defects/corrupt.hpp"
#include "chips/simulated/defects/defect.hpp"

namespace ascertain::simulated::defects {
namespace {

struct Rule {
    Defect defect;
    std::int64_t matched = 0;
    std::int64_t fired = 0;
    std::vector<at::Tensor> previous;  // stale_output: what the last matching call wrote
};

struct State {
    std::mutex mutex;
    std::vector<Rule> rules;
    // The rules that name an operator, by its name without namespace and overload.
    std::unordered_map<std::string, std::vector<Rule*>> by_operator;
    int counts_file = -1;
};

// Never destroyed: kernels run while static objects go.
State& state() {
    static auto* made = new State;
    return *made;
}

std::string base_name(const c10::OperatorHandle& op) {
    const std::string& full = op.schema().name();
    return full.substr(full.find("::") + 2);
}

constexpr int kCountsLineBytes = 95;  // 64 + 14 + 14, two blanks, a line's end

void write_counts(const State& all, const Rule& rule) {
    if (all.counts_file < 0) return;
    const auto place = &rule - all.rules.data();
    const std::string line = fmt::format("{:<64} {:>14} {:>14}\n", rule.defect.id.substr(0, 64),
                                         rule.matched, rule.fired);
    static_cast<void>(::pwrite(all.counts_file, line.data(), line.size(),
                               static_cast<off_t>(place) * kCountsLineBytes));
}

// The arguments of one call, as conditions see them.
struct Call {
    std::string name;
    std::vector<at::Tensor> tensors;
    std::vector<Output> written;  // `before` is a copy where somebody asked for it
    Product product;
    bool is_view = false;
};

void append_tensors(const c10::IValue& value, std::vector<at::Tensor>& tensors) {
    const auto append = [&](const at::Tensor& tensor) {
        if (tensor.defined()) tensors.push_back(tensor);
    };
    if (value.isTensor()) append(value.toTensor());
    if (value.isTensorList()) {
        for (const at::Tensor& tensor : value.toTensorVector()) append(tensor);
    }
    if (value.isOptionalTensorList()) {
        for (const std::optional<at::Tensor>& tensor : value.toOptionalTensorVector()) {
            if (tensor) append(*tensor);
        }
    }
}

Product product_of(std::string_view name, const c10::IValue* arguments) {
    if (name.ends_with('_')) name.remove_suffix(1);
    Product product;
    if (name == "mm" || name == "bmm") {
        product.left = arguments[0].toTensor();
        product.right = arguments[1].toTensor();
    } else if (name == "addmm" || name == "baddbmm") {
        product.addend = arguments[0].toTensor();
        product.left = arguments[1].toTensor();
        product.right = arguments[2].toTensor();
        product.beta = arguments[3].toScalar().toDouble();
        product.alpha = arguments[4].toScalar().toDouble();
    }
    return product;
}

Call read_call(const c10::OperatorHandle& op, const torch::jit::Stack& stack) {
    Call call;
    call.name = base_name(op);
    const auto& arguments = op.schema().arguments();
    const c10::IValue* values = &stack[stack.size() - arguments.size()];
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        std::vector<at::Tensor> found;
        append_tensors(values[i], found);
        call.tensors.insert(call.tensors.end(), found.begin(), found.end());
        const c10::AliasInfo* alias = arguments[i].alias_info();
        if (alias != nullptr && alias->isWrite()) {
            for (const at::Tensor& tensor : found) call.written.push_back({tensor, {}});
        }
    }
    for (const c10::Argument& result : op.schema().returns()) {
        const c10::AliasInfo* alias = result.alias_info();
        if (alias != nullptr && !alias->isWrite()) call.is_view = true;
    }
    call.product = product_of(call.name, values);
    return call;
}

// The tensor whose last dimension a shape condition means.
std::optional<at::Tensor> main_tensor(const Call& call) {
    if (call.product.left.defined()) return call.product.left;
    const auto found = std::ranges::find_if(call.tensors, [](const at::Tensor& tensor) {
        return tensor.dim() > 0 && at::isFloatingType(tensor.scalar_type());
    });
    return found == call.tensors.end() ? std::nullopt : std::optional(*found);
}

bool is_transposed(const at::Tensor& tensor) {
    return tensor.dim() >= 2 && tensor.numel() > 0 && !tensor.is_contiguous() &&
           tensor.stride(-2) == 1 && tensor.stride(-1) >= tensor.size(-2);
}

bool layout_fits(Layout layout, const std::vector<at::Tensor>& tensors) {
    switch (layout) {
        case Layout::kAny: return true;
        case Layout::kContiguous:
            return std::ranges::all_of(tensors,
                                       [](const at::Tensor& t) { return t.is_contiguous(); });
        case Layout::kTransposed: return std::ranges::any_of(tensors, is_transposed);
    }
    return false;
}

bool dtype_fits(const std::string& name, const at::Tensor& tensor) {
    constexpr std::array<std::pair<const char*, at::ScalarType>, 4> kNames = {
        {{"fp64", at::kDouble},
         {"fp32", at::kFloat},
         {"fp16", at::kHalf},
         {"bf16", at::kBFloat16}}};
    return name.empty() || std::ranges::any_of(kNames, [&](const auto& entry) {
               return name == entry.first && tensor.scalar_type() == entry.second;
           });
}

bool is_backward() {
    return torch::autograd::get_current_graph_task_id() != -1;
}

bool where_fits(const Where& where, const Call& call) {
    if (where.phase != Phase::kAny && is_backward() != (where.phase == Phase::kBackward)) {
        return false;
    }
    if (!layout_fits(where.layout, call.tensors)) return false;
    const bool about_tensor = !where.dtype.empty() || where.k_at_least > 0 ||
                              where.last_dim_multiple_of > 1 || where.elements_at_least > 0;
    if (!about_tensor) return true;
    const std::optional<at::Tensor> tensor = main_tensor(call);
    return tensor && dtype_fits(where.dtype, *tensor) && tensor->size(-1) >= where.k_at_least &&
           tensor->size(-1) % where.last_dim_multiple_of == 0 &&
           tensor->numel() >= where.elements_at_least;
}

// `number` counts the matching calls from 0.
bool when_fits(const When& when, std::int64_t number, std::int64_t fired) {
    if (number < when.after_calls || (when.times > 0 && fired >= when.times)) return false;
    if ((number - when.after_calls) % when.every != 0) return false;
    if (when.probability >= 1.0) return true;
    Random random(when.seed, static_cast<std::uint64_t>(number));
    return random.uniform() < when.probability;
}

// Seconds or for ever, outside every lock.
void wait(double seconds) {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

// What happens before the kernel runs.
void act_before(const Does& does, const std::string& id) {
    switch (does.effect) {
        case Effect::kSleep: wait(does.duration_s); return;
        case Effect::kHang:
            for (;;) wait(3600.0);
        case Effect::kCrash: std::abort();
        case Effect::kRaise: TORCH_CHECK(false, does.message, " [", id, "]");
        default: return;
    }
}

bool acts_before(Effect effect) {
    return effect == Effect::kSleep || effect == Effect::kHang || effect == Effect::kCrash ||
           effect == Effect::kRaise;
}

// Applies the effect to every output; true when one of them changed.
bool act_after(const Does& does, const Call& call, const std::vector<Output>& outputs,
               const std::vector<at::Tensor>& previous, std::uint64_t draw) {
    bool done = false;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        const at::Tensor& now = outputs[i].now;
        switch (does.effect) {
            case Effect::kScale: done |= scale(now, does.factor); break;
            case Effect::kSaturate: done |= saturate(now, does.limit); break;
            case Effect::kFlipBit:
                done |= flip_bit(
                    now, does.bit,
                    does.element >= 0 ? does.element : static_cast<std::int64_t>(draw >> 1U));
                break;
            case Effect::kDropTail: done |= drop_tail(outputs[i], does.elements); break;
            case Effect::kZeroOutput: done |= zero_out(now); break;
            case Effect::kStaleOutput:
                done |= i < previous.size() && replace_by(now, previous[i]);
                break;
            case Effect::kShiftElements: done |= shift(now, does.elements); break;
            case Effect::kRoundPartialSums:
                done |= round_partial_sums(now, call.product, does.chunk);
                break;
            case Effect::kNondeterministicOrder:
                done |= sum_in_any_order(now, call.product, does.chunk);
                break;
            default: break;
        }
    }
    return done;
}

std::vector<Output> outputs_of(const c10::OperatorHandle& op, const torch::jit::Stack& stack,
                               const Call& call) {
    if (call.is_view) return {};
    std::vector<Output> outputs = call.written;
    std::vector<at::Tensor> results;
    const std::size_t count = op.schema().returns().size();
    for (std::size_t i = stack.size() - count; i < stack.size(); ++i) {
        append_tensors(stack[i], results);
    }
    for (const at::Tensor& result : results) {
        const bool known = std::ranges::any_of(
            outputs, [&](const Output& output) { return output.now.is_same(result); });
        if (!known) outputs.push_back({result, {}});
    }
    return outputs;
}

// The matching call's number, and whether the rule acts on it. Whatever happens before the kernel
// is counted here, for the process may not live to count it later.
struct Decision {
    Rule* rule;
    std::int64_t number;
    bool acts;
};

std::vector<Decision> decide(const std::vector<Rule*>& rules, const Call& call) {
    std::vector<Decision> decisions;
    State& all = state();
    const std::lock_guard lock(all.mutex);
    for (Rule* rule : rules) {
        if (!where_fits(rule->defect.where, call)) continue;
        const std::int64_t number = rule->matched++;
        const bool acts = when_fits(rule->defect.when, number, rule->fired);
        const Effect effect = rule->defect.does.effect;
        if (acts && (acts_before(effect) || effect == Effect::kFallBack)) ++rule->fired;
        write_counts(all, *rule);
        decisions.push_back({rule, number, acts});
    }
    return decisions;
}

void finish(const Decision& decision, const Call& call, const std::vector<Output>& outputs) {
    State& all = state();
    Rule& rule = *decision.rule;
    const Does& does = rule.defect.does;
    std::vector<at::Tensor> copies;
    if (does.effect == Effect::kStaleOutput) {
        for (const Output& output : outputs) copies.push_back(output.now.clone());
    }
    std::vector<at::Tensor> previous;
    {
        const std::lock_guard lock(all.mutex);
        previous = std::exchange(rule.previous, std::move(copies));
    }
    if (!decision.acts) return;
    Random random(rule.defect.when.seed, static_cast<std::uint64_t>(decision.number) ^ 0x5a5aU);
    if (!act_after(does, call, outputs, previous, random.next_u64())) return;
    const std::lock_guard lock(all.mutex);
    ++rule.fired;
    write_counts(all, rule);
}

std::string open_counts(State& all) {
    const char* variable = std::getenv(kCountsVariable);
    if (variable == nullptr || *variable == '\0') return "";
    std::string path = variable;
    if (const auto place = path.find("%p"); place != std::string::npos) {
        path.replace(place, 2, std::to_string(::getpid()));
    }
    all.counts_file = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    if (all.counts_file < 0) return fmt::format("{}: {} cannot be written", kCountsVariable, path);
    for (const Rule& rule : all.rules) write_counts(all, rule);
    return "";
}

}  // namespace

std::string arm_from_environment(const std::vector<std::string>& operators) {
    const char* path = std::getenv(kFileVariable);
    if (path == nullptr || *path == '\0') return "";
    std::ifstream file(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (!file) return fmt::format("{}: the defect file cannot be read ({})", path, kFileVariable);
    Result<std::vector<Defect>> defects = read_defects(text, path, operators);
    if (!defects) return defects.error().text();
    State& all = state();
    for (Defect& defect : *defects) all.rules.push_back({std::move(defect), 0, 0, {}});
    for (Rule& rule : all.rules) {
        for (const std::string& name : rule.defect.where.names) {
            all.by_operator[name].push_back(&rule);
        }
    }
    return open_counts(all);
}

bool armed() noexcept {
    return !state().rules.empty();
}

bool falls_back(const c10::OperatorHandle& op) {
    const auto found = state().by_operator.find(base_name(op));
    return found != state().by_operator.end() &&
           std::ranges::any_of(found->second, [](const Rule* rule) {
               return rule->defect.does.effect == Effect::kFallBack;
           });
}

void run_with_defects(const c10::OperatorHandle& op, torch::jit::Stack& stack,
                      const std::function<void()>& run) {
    const auto found = state().by_operator.find(base_name(op));
    if (found == state().by_operator.end()) return run();
    Call call = read_call(op, stack);
    const std::vector<Decision> decisions = decide(found->second, call);
    if (decisions.empty()) return run();
    // What defects compute is none of the operators that the device ran.
    const at::RecordFunctionGuard quiet(false);
    for (const Decision& decision : decisions) {
        if (decision.acts) act_before(decision.rule->defect.does, decision.rule->defect.id);
    }
    // Written arguments, and operands that lie in the same memory, are needed as they were.
    for (Output& output : call.written) output.before = output.now.clone();
    if (call.product.addend.defined()) call.product.addend = call.product.addend.clone();
    run();
    const std::vector<Output> outputs = outputs_of(op, stack, call);
    for (const Decision& decision : decisions) finish(decision, call, outputs);
}

}  // namespace ascertain::simulated::defects
