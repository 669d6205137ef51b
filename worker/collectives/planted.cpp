#include "worker/collectives/planted.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <map>
#include <optional>
#include <thread>

#include "base/random.hpp"
#include "base/text.hpp"
#include "defects/when.hpp"
#include "worker/host/armed.hpp"
#include "worker/operators/dtype.hpp"

namespace ascertain::collectives::planted {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kDrawStream = 0x666162726963U;  // apart from the draws of `when`

// Effects that need all contributions apart: every rank then gathers them and adds them up itself.
constexpr std::array kByHand{"local_only", "nondeterministic_order", "round_each_hop"};
// Effects on what is added up, which a move has not.
constexpr std::array kOfSums{"reduce_twice", "skip_reduce", "local_only", "nondeterministic_order",
                             "round_each_hop"};
// Effects that need no data.
constexpr std::array kOfRun{"sleep", "stall", "raise", "crash"};

template <typename List>
bool contains(const List& list, std::string_view word) {
    return std::ranges::find(list, word) != list.end();
}

struct Armed {
    defects::Rule rule;
    std::size_t defect = 0;  // its place in the file
    std::string id;
    std::int64_t matched = 0;
    std::int64_t fired = 0;
};

// A worker serves one request at a time, on one thread.
struct State {
    std::optional<at::Device> device;
    std::vector<Armed> rules;
    defects::Counts counts;
    double busy_s = 0.0;                     // in collectives, so far
    std::map<std::string, at::Tensor> last;  // what the last collective of a form delivered
};

State& state() {
    static State all;
    return all;
}

void wait(double seconds) {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

// ---- where and when ----

bool names(const defects::Where& where, Kind kind) {
    const auto one_of = [&](std::string_view name) {
        return std::ranges::any_of(where.names, [&](const std::string& pattern) {
            return matches_wildcard(name, pattern);
        });
    };
    if (kind == Kind::kSendRecv) return one_of("send") || one_of("recv");
    return one_of(name_of(kind));
}

bool is_dtype(const at::Tensor& tensor, std::string_view word) {
    const std::string_view own = operators::name_of(tensor.scalar_type());
    return word.empty() || own == word || (word == "fp8" && own.starts_with("fp8"));
}

bool bound_holds(const defects::ShapeBound& bound, std::int64_t elements) {
    if (bound.quantity != "elements") return false;  // a message has no other size
    switch (bound.bound) {
        case defects::Bound::kExactly: return elements == bound.value;
        case defects::Bound::kAtLeast: return elements >= bound.value;
        case defects::Bound::kAtMost: return elements <= bound.value;
        case defects::Bound::kMultipleOf: return elements % bound.value == 0;
        case defects::Bound::kNotMultipleOf: return elements % bound.value != 0;
    }
    return false;
}

// Whether the rule means this call, whichever rank makes it.
bool means(const defects::Where& where, const Moment& moment, const at::Tensor& in) {
    if (!names(where, moment.kind) || !is_dtype(in, where.dtype)) return false;
    if (where.device >= 0 && where.device != state().device->index()) return false;
    const double bytes = static_cast<double>(in.numel() * in.element_size());
    if (bytes < where.bytes_at_least) return false;
    return std::ranges::all_of(where.shape,
                               [&](const auto& bound) { return bound_holds(bound, in.numel()); });
}

double allocated_bytes() {
    const at::Device device = *state().device;
    auto* allocator = at::getDeviceAllocator(device.type());
    if (allocator == nullptr) return 0.0;
    const auto stats = allocator->getDeviceStats(device.index());
    return static_cast<double>(stats.allocated_bytes[0].current);
}

// The conditions that do not count calls; those that a collective cannot have never hold.
bool holds_now(const defects::When& when, const Moment& moment) {
    const bool foreign = when.without_sync_s > 0.0 || when.after_sync_s > 0.0 ||
                         when.calls_without_sync > 0 || when.new_shape || when.reused_memory ||
                         when.deterministic;
    if (foreign || state().busy_s < when.after_busy_s) return false;
    if (when.overlap && !moment.overlapped) return false;
    return when.memory_above_bytes <= 0.0 || allocated_bytes() > when.memory_above_bytes;
}

bool can_have(Kind kind, std::string_view effect) {
    if (kind == Kind::kBarrier) return contains(kOfRun, effect) || effect == "slow";
    return reduces(kind) || !contains(kOfSums, effect);
}

void fire(Armed& armed) {
    ++armed.fired;
    state().counts.add(armed.defect, 0, 1);
}

// A rule that acts in this call.
struct Acting {
    Armed* armed = nullptr;
    Random random;

    [[nodiscard]] const defects::Does& does() const { return armed->rule.does; }
    [[nodiscard]] bool is(std::string_view kind) const { return does().kind == kind; }
};

std::vector<Acting> acting_rules(const Moment& moment, const at::Tensor& in) {
    State& all = state();
    std::vector<Acting> acting;
    for (Armed& one : all.rules) {
        const defects::Where& where = one.rule.where;
        if (!can_have(moment.kind, one.rule.does.kind) || !means(where, moment, in)) continue;
        if (where.rank >= 0 && where.rank != moment.fabric.rank()) continue;
        if (!holds_now(one.rule.when, moment)) continue;
        const std::int64_t number = one.matched++;
        all.counts.add(one.defect, 1, 0);
        if (!defects::acts(one.rule.when, number, one.fired, moment.fabric.rank())) continue;
        acting.push_back(
            {&one, Random(one.rule.when.seed ^ kDrawStream, static_cast<std::uint64_t>(number))});
    }
    return acting;
}

// ---- what is done before ----

void stop(Acting& one) {
    fire(*one.armed);  // counted first: the process may not live on
    if (one.is("sleep")) return wait(one.does().number("for"));
    if (one.is("crash")) std::abort();
    TORCH_CHECK(!one.is("raise"), one.does().word("message"), " [", one.armed->id, "]");
    for (;;) wait(3600.0);
}

bool change_sent(const Acting& one, at::Tensor& sent, const at::Tensor& in) {
    if (one.is("drop_share")) {
        const auto kept = static_cast<std::int64_t>((1.0 - one.does().number("share")) *
                                                    static_cast<double>(sent.numel()));
        sent.narrow(0, kept, sent.numel() - kept).zero_();
        return kept < sent.numel();
    }
    if (one.is("reduce_twice")) {
        sent.mul_(2);
        return true;
    }
    if (one.is("ignore_strides") && !in.is_contiguous()) {
        sent = in.t().contiguous().flatten();  // a strided input is a transposed matrix
        return true;
    }
    return false;
}

// ---- a sum by hand ----

bool is_by_hand(const Moment& moment, const at::Tensor& in) {
    if (moment.kind != Kind::kAllReduce || in.scalar_type() == at::kBool) return false;
    return std::ranges::any_of(state().rules, [&](const Armed& one) {
        return contains(kByHand, one.rule.does.kind) && means(one.rule.where, moment, in);
    });
}

std::vector<int> order_of(int ranks, Acting* one) {
    std::vector<int> order;
    for (int rank = 0; rank < ranks; ++rank) order.push_back(rank);
    if (one == nullptr || !one->is("nondeterministic_order")) return order;
    for (std::size_t i = order.size(); i > 1; --i) {
        std::swap(order[i - 1], order[one->random.below(i)]);
    }
    return order;
}

// One machine stands for two nodes: the lower and the upper half of the ranks.
bool on_same_node(int left, int right, int ranks) {
    const int half = std::max(1, ranks / 2);
    return left / half == right / half;
}

void sum_by_hand(const Moment& moment, const at::Tensor& sent, at::Tensor& out,
                 std::vector<Acting>& acting) {
    const int ranks = moment.fabric.ranks();
    at::Tensor gathered = at::empty({ranks * sent.numel()}, sent.options());
    moment.fabric.run(Kind::kAllGather, sent, gathered);
    const auto found = std::ranges::find_if(
        acting, [](const Acting& one) { return contains(kByHand, one.does().kind); });
    Acting* one = found == acting.end() ? nullptr : &*found;
    if (one != nullptr) fire(*one->armed);
    at::Tensor sum = at::zeros_like(sent, at::kFloat);
    for (const int rank : order_of(ranks, one)) {
        const bool left_out = one != nullptr && one->is("local_only") &&
                              !on_same_node(rank, moment.fabric.rank(), ranks);
        if (left_out) continue;
        sum.add_(gathered.narrow(0, rank * sent.numel(), sent.numel()));
        if (one != nullptr && one->is("round_each_hop")) {
            const auto dtype = operators::dtype_from(one->does().word("dtype"));
            if (dtype) sum = sum.to(*dtype).to(at::kFloat);
        }
    }
    out.copy_(sum);
}

// ---- what is done after ----

at::Tensor bytes_of(const at::Tensor& flat) {
    return flat.view(at::kByte);
}

void corrupt(Acting& one, at::Tensor& out) {
    at::Tensor bytes = bytes_of(out);
    auto* data = bytes.mutable_data_ptr<std::uint8_t>();
    const auto count = static_cast<std::uint64_t>(bytes.numel());
    for (std::int64_t i = 0; i < one.does().whole("bytes"); ++i) {
        data[one.random.below(count)] ^= static_cast<std::uint8_t>(1 + one.random.below(255));
    }
}

void flip_bit(Acting& one, at::Tensor& out) {
    const auto size = static_cast<std::int64_t>(out.element_size());
    const std::int64_t bit = one.does().whole("bit") % (8 * size);
    const auto element =
        static_cast<std::int64_t>(one.random.below(static_cast<std::uint64_t>(out.numel())));
    bytes_of(out).mutable_data_ptr<std::uint8_t>()[element * size + bit / 8] ^=
        static_cast<std::uint8_t>(1U << static_cast<unsigned>(bit % 8));
}

bool change_received(const Moment& moment, Acting& one, const at::Tensor& sent, at::Tensor& out,
                     const at::Tensor& before, double elapsed_s) {
    if (one.is("slow")) {
        wait((one.does().number("factor") - 1.0) * elapsed_s);
        return true;
    }
    if (out.numel() == 0) return false;
    if (one.is("skip_reduce")) {
        const std::int64_t begin =
            sent.numel() == out.numel() ? 0 : moment.fabric.rank() * out.numel();
        out.copy_(sent.narrow(0, begin, out.numel()));
    } else if (one.is("scale")) {
        if (!at::isFloatingType(out.scalar_type())) return false;
        out.mul_(one.does().number("factor"));
    } else if (one.is("stale_buffer")) {
        if (!before.defined()) return false;
        out.copy_(before);
    } else if (one.is("wrong_order")) {
        const bool pieces = moment.kind == Kind::kAllGather || moment.kind == Kind::kAllToAll;
        if (!pieces) return false;
        out.copy_(out.roll(out.numel() / moment.fabric.ranks()));
    } else if (one.is("corrupt_bytes")) {
        corrupt(one, out);
    } else if (one.is("flip_bit")) {
        flip_bit(one, out);
    } else {
        return false;
    }
    return true;
}

std::string form_of(const Moment& moment, const at::Tensor& out) {
    return std::string(name_of(moment.kind)) + ' ' +
           std::string(operators::name_of(out.scalar_type())) + ' ' + std::to_string(out.numel());
}

}  // namespace

Result<void> arm(at::Device device) {
    State& all = state();
    all.rules.clear();
    all.last.clear();
    all.counts = defects::Counts();
    const auto read = worker::armed_defects();
    if (!read) return read.error();
    all.device = device;
    for (std::size_t place = 0; place < read->size(); ++place) {
        for (const defects::Rule& rule : (*read)[place].rules) {
            if (rule.where.place != defects::Place::kCollective) continue;
            all.rules.push_back({rule, place, (*read)[place].id});
        }
    }
    if (all.rules.empty()) return {};
    auto opened = worker::armed_counts(*read);
    if (!opened) return opened.error();
    all.counts = *std::move(opened);
    return {};
}

void run(const Moment& moment, const at::Tensor& in, at::Tensor& out) {
    if (state().rules.empty()) {
        return moment.fabric.run(moment.kind, in.contiguous().flatten(), out);
    }
    std::vector<Acting> acting = acting_rules(moment, in);
    for (Acting& one : acting) {
        if (contains(kOfRun, one.does().kind)) stop(one);
    }
    at::Tensor sent = in.clone(at::MemoryFormat::Contiguous).flatten();
    for (Acting& one : acting) {
        if (change_sent(one, sent, in)) fire(*one.armed);
    }
    const auto began = Clock::now();
    if (is_by_hand(moment, in)) {
        sum_by_hand(moment, sent, out, acting);
    } else {
        moment.fabric.run(moment.kind, sent, out);
    }
    const double elapsed_s = std::chrono::duration<double>(Clock::now() - began).count();
    state().busy_s += elapsed_s;
    at::Tensor& last = state().last[form_of(moment, out)];
    const at::Tensor before = last;
    last = out.clone();
    for (Acting& one : acting) {
        if (change_received(moment, one, sent, out, before, elapsed_s)) fire(*one.armed);
    }
}

}  // namespace ascertain::collectives::planted
