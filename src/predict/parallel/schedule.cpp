#include "predict/parallel/schedule.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace ascertain::parallel {
namespace {

// Appends the ops of one rank and counts micro-batches per chunk and kind of work.
class RankWriter {
public:
    RankWriter(std::vector<Op>& ops, std::int64_t micro_batches)
        : ops_(ops), micro_batches_(static_cast<std::int32_t>(micro_batches)) {}

    void forward(int chunk, bool paired = false) { put(Work::kForward, chunk, forward_, paired); }
    void backward(int chunk, bool paired = false) {
        if (!put(Work::kBackward, chunk, backward_, paired)) return;
        ++weight_[chunk];
    }
    void input(int chunk) { put(Work::kInputGradient, chunk, backward_, false); }
    void weight(int chunk) {
        if (weight_[chunk] >= backward_[chunk]) return;
        put(Work::kWeightGradient, chunk, weight_, false);
    }
    [[nodiscard]] std::int32_t forwards(int chunk) const { return forward_[chunk]; }
    [[nodiscard]] std::int32_t backwards(int chunk) const { return backward_[chunk]; }
    [[nodiscard]] std::int32_t weights(int chunk) const { return weight_[chunk]; }

private:
    bool put(Work work, int chunk, std::int32_t* counter, bool paired) {
        if (counter[chunk] >= micro_batches_) return false;
        ops_.push_back({work, static_cast<std::uint8_t>(chunk), paired, counter[chunk]++});
        return true;
    }

    std::vector<Op>& ops_;
    std::int32_t micro_batches_;
    std::int32_t forward_[2] = {0, 0};
    std::int32_t backward_[2] = {0, 0};
    std::int32_t weight_[2] = {0, 0};
};

void write_gpipe(RankWriter& out, std::int64_t m) {
    for (std::int64_t i = 0; i < m; ++i) out.forward(0);
    for (std::int64_t i = 0; i < m; ++i) out.backward(0);
}

void write_1f1b(RankWriter& out, std::int64_t p, std::int64_t m, std::int64_t rank) {
    const std::int64_t warm_up = std::min(p - rank - 1, m);
    for (std::int64_t i = 0; i < warm_up; ++i) out.forward(0);
    for (std::int64_t i = warm_up; i < m; ++i) {
        out.forward(0);
        out.backward(0);
    }
    for (std::int64_t i = 0; i < warm_up; ++i) out.backward(0);
}

// 1F1B with the weight gradients of rank r put off by r micro-batches, so that input gradients
// travel up sooner and the weight gradients fill the drain. arXiv 2401.10241, figure 3 (ZB-H1).
void write_zb_h1(RankWriter& out, std::int64_t p, std::int64_t m, std::int64_t rank) {
    const std::int64_t warm_up = std::min(p - rank - 1, m);
    const auto pay_back = [&] {
        if (out.backwards(0) - out.weights(0) > rank) out.weight(0);
    };
    for (std::int64_t i = 0; i < warm_up; ++i) out.forward(0);
    for (std::int64_t i = warm_up; i < m; ++i) {
        out.forward(0);
        out.input(0);
        pay_back();
    }
    for (std::int64_t i = 0; i < warm_up; ++i) {
        out.input(0);
        out.weight(0);
    }
    while (out.weights(0) < out.backwards(0)) out.weight(0);
}

// arXiv 2104.04473 section 2.2.2; the order of Megatron-LM's forward_backward_pipelining_with_
// interleaving: micro-batches go in groups of p through chunk after chunk.
void write_interleaved(std::vector<Op>& ops, std::int64_t p, std::int64_t v, std::int64_t m,
                       std::int64_t rank) {
    const std::int64_t total = m * v;
    const auto op = [&](std::int64_t k, Work work) {
        const std::int64_t in_group = k % (p * v);
        std::int64_t chunk = in_group / p;
        if (work == Work::kBackward) chunk = v - 1 - chunk;
        ops.push_back({work, static_cast<std::uint8_t>(chunk), false,
                       static_cast<std::int32_t>(k / (p * v) * p + in_group % p)});
    };
    const std::int64_t warm_up = std::min((p - rank - 1) * 2 + (v - 1) * p, total);
    for (std::int64_t k = 0; k < warm_up; ++k) op(k, Work::kForward);
    for (std::int64_t k = warm_up; k < total; ++k) {
        op(k, Work::kForward);
        op(k - warm_up, Work::kBackward);
    }
    for (std::int64_t k = total - warm_up; k < total; ++k) op(k, Work::kBackward);
}

// arXiv 2405.15362 (ZB-V): chunk 0 goes down the ranks, chunk 1 comes back up.
void write_zb_v(RankWriter& out, std::int64_t p, std::int64_t m, std::int64_t rank) {
    for (std::int64_t i = 0; i < 2 * (p - rank) - 1; ++i) out.forward(0);
    for (std::int64_t i = 0; i < rank; ++i) {
        out.forward(1);
        out.forward(0);
    }
    for (std::int64_t i = 0; i < p - rank; ++i) {
        out.forward(1);
        out.input(1);
        out.weight(1);
    }
    while (out.forwards(1) < m) {
        out.forward(0);
        out.input(0);
        out.weight(0);
        out.forward(1);
        out.input(1);
        out.weight(1);
    }
    for (std::int64_t i = 0; i < rank; ++i) {
        out.input(0);
        out.input(1);
    }
    for (std::int64_t i = 0; i < p - rank; ++i) {
        out.input(0);
        out.weight(0);
    }
    while (out.backwards(0) < m || out.backwards(1) < m) {
        out.input(1);
        out.input(0);
    }
    while (out.weights(1) < m) out.weight(1);
    while (out.weights(0) < m) out.weight(0);
}

// Both DualPipes. The steps and their lengths are those of deepseek-ai/DualPipe, dualpipe.py and
// dualpipev.py; weight gradients that were put off are paid back first in, first out.
class DualPipeWriter {
public:
    DualPipeWriter(RankWriter& out, bool swapped) : out_(out), swapped_(swapped) {}

    void write(std::int64_t before_peer, std::int64_t behind, std::int64_t main_steps,
               bool turning) {
        for (std::int64_t i = 0; i < 2 * before_peer; ++i) forward(0);
        for (std::int64_t i = 0; i < behind; ++i) {
            forward(0);
            forward(1);
        }
        for (std::int64_t i = 0; i < before_peer; ++i) {
            input(1);
            pay_back();
            forward(1);
        }
        for (std::int64_t i = 0; i < main_steps; ++i) {
            both(0, 1, i == 0 && turning);
            both(1, 0, false);
        }
        for (std::int64_t i = 0; i < before_peer; ++i) {
            backward(1);
            both(1, 0, false);
        }
        bool put_off = false;
        for (std::int64_t i = 0; i < behind; ++i) {
            if (i == behind / 2 && behind % 2 == 0) put_off = true;
            put_off ? input(1) : backward(1);
            if (i == behind / 2 && behind % 2 == 1) put_off = true;
            put_off ? input(0) : backward(0);
        }
        for (std::int64_t i = 0; i < before_peer; ++i) {
            pay_back();
            input(0);
        }
        for (std::int64_t i = 0; i < behind; ++i) pay_back();
        while (!owed_.empty()) pay_back();
    }

private:
    [[nodiscard]] int chunk(int phase) const { return swapped_ ? 1 - phase : phase; }
    void forward(int phase) { out_.forward(chunk(phase)); }
    void backward(int phase) { out_.backward(chunk(phase)); }
    void input(int phase) {
        out_.input(chunk(phase));
        owed_.push_back(chunk(phase));
    }
    void pay_back() {
        if (owed_.empty()) return;
        out_.weight(owed_.front());
        owed_.erase(owed_.begin());
    }
    void both(int forward_phase, int backward_phase, bool apart) {
        out_.forward(chunk(forward_phase));
        out_.backward(chunk(backward_phase), !apart);
    }

    RankWriter& out_;
    bool swapped_;
    std::vector<int> owed_;  // chunks whose weight gradient is due, oldest first
};

void write_dual_pipe(RankWriter& out, std::int64_t p, std::int64_t m, std::int64_t rank) {
    const std::int64_t from_edge = std::min(rank, p - 1 - rank);
    const bool middle = rank == p / 2 - 1 || rank == p / 2;
    DualPipeWriter(out, rank >= p / 2)
        .write(p / 2 - from_edge - 1, from_edge + 1, m / 2 - p + from_edge + 1, middle);
}

void write_dual_pipe_v(RankWriter& out, std::int64_t p, std::int64_t m, std::int64_t rank) {
    DualPipeWriter(out, false).write(p - rank - 1, rank + 1, m - 2 * p + rank + 1, rank == p - 1);
}

}  // namespace

std::int32_t Schedule::stage_of(std::int32_t rank, std::int32_t chunk) const {
    switch (kind) {
        case ScheduleKind::kInterleaved: return chunk * ranks + rank;
        case ScheduleKind::kZbV:
        case ScheduleKind::kDualPipeV: return chunk == 0 ? rank : 2 * ranks - 1 - rank;
        case ScheduleKind::kDualPipe: return chunk == 0 ? rank : ranks - 1 - rank;
        default: return rank;
    }
}

std::int32_t Schedule::rank_of(std::int32_t pipe, std::int32_t stage) const {
    switch (kind) {
        case ScheduleKind::kInterleaved: return stage % ranks;
        case ScheduleKind::kZbV:
        case ScheduleKind::kDualPipeV: return stage < ranks ? stage : 2 * ranks - 1 - stage;
        case ScheduleKind::kDualPipe: return pipe == 0 ? stage : ranks - 1 - stage;
        default: return stage;
    }
}

void build_schedule(ScheduleKind kind, std::int64_t ranks, std::int64_t chunks,
                    std::int64_t micro_batches, Schedule& schedule) {
    schedule.kind = kind;
    schedule.ranks = static_cast<std::int32_t>(ranks);
    schedule.chunks = static_cast<std::int32_t>(chunks);
    schedule.pipes = kind == ScheduleKind::kDualPipe ? 2 : 1;
    schedule.stages =
        static_cast<std::int32_t>(kind == ScheduleKind::kDualPipe ? ranks : ranks * chunks);
    schedule.micro_batches = static_cast<std::int32_t>(micro_batches / schedule.pipes);
    schedule.ops.clear();
    schedule.first.clear();
    schedule.first.push_back(0);
    for (std::int64_t rank = 0; rank < ranks; ++rank) {
        RankWriter out(schedule.ops, schedule.micro_batches);
        switch (kind) {
            case ScheduleKind::kNone:
            case ScheduleKind::k1F1B: write_1f1b(out, ranks, micro_batches, rank); break;
            case ScheduleKind::kGPipe: write_gpipe(out, micro_batches); break;
            case ScheduleKind::kInterleaved:
                write_interleaved(schedule.ops, ranks, chunks, micro_batches, rank);
                break;
            case ScheduleKind::kZbH1: write_zb_h1(out, ranks, micro_batches, rank); break;
            case ScheduleKind::kZbV: write_zb_v(out, ranks, micro_batches, rank); break;
            case ScheduleKind::kDualPipe: write_dual_pipe(out, ranks, micro_batches, rank); break;
            case ScheduleKind::kDualPipeV:
                write_dual_pipe_v(out, ranks, micro_batches, rank);
                break;
        }
        schedule.first.push_back(static_cast<std::int32_t>(schedule.ops.size()));
    }
}

namespace {

constexpr double kNotYet = -1.0;

// One op, resolved: what it waits for, how long it takes, where its end is noted.
struct Task {
    const double* upstream = nullptr;
    double transfer = 0.0;
    double duration = 0.0;
    double* end = nullptr;
};

class Relaxer {
public:
    Relaxer(const Schedule& schedule, const StageTimes& times, Relaxation& out)
        : schedule_(schedule),
          times_(times),
          out_(out),
          stages_(static_cast<std::size_t>(schedule.stages)),
          steps_(static_cast<std::size_t>(schedule.micro_batches)) {}

    // Runs a rank until it waits for another; true when it did anything.
    bool advance(std::size_t rank) {
        const auto stop = schedule_.first[rank + 1];
        std::int32_t& at = out_.cursor[rank];
        const std::int32_t before = at;
        while (at < stop) {
            const Task task = resolve(rank, at);
            if (!ready(task)) break;
            // A forward and a backward that run together start together and end together.
            const bool leads_pair = at + 1 < stop && schedule_.ops[index(at + 1)].paired;
            Task mate;
            if (leads_pair) {
                mate = resolve(rank, at + 1);
                if (!ready(mate)) break;
            }
            double& now = out_.end[rank];
            const double start = std::max({now, arrival(task), arrival(mate)});
            double duration = task.duration + mate.duration;
            if (leads_pair) duration = std::max(0.0, duration - times_.pair_saving);
            now = start + duration;
            out_.busy[rank] += duration;
            finish(at, start, task, now);
            if (leads_pair) finish(at + 1, start, mate, now);
            at += leads_pair ? 2 : 1;
        }
        return at != before;
    }

private:
    static std::size_t index(std::int32_t at) { return static_cast<std::size_t>(at); }
    static bool ready(const Task& task) {
        return task.upstream == nullptr || *task.upstream > kNotYet;
    }
    static double arrival(const Task& task) {
        return task.upstream == nullptr ? 0.0 : *task.upstream + task.transfer;
    }
    void finish(std::int32_t at, double start, const Task& task, double end) {
        out_.start[index(at)] = start;
        if (task.end != nullptr) *task.end = end;
    }

    [[nodiscard]] Task resolve(std::size_t rank, std::int32_t at) const {
        const Op& op = schedule_.ops[index(at)];
        const std::size_t place = rank * static_cast<std::size_t>(schedule_.chunks) + op.chunk;
        const std::size_t stage = out_.stage[place];
        const std::size_t cell = out_.cells[place] + static_cast<std::size_t>(op.micro_batch);
        Task task;
        if (op.work == Work::kForward) {
            task.duration = times_.forward[stage];
            task.end = &out_.forward_end[cell];
            if (stage > 0) {
                task.upstream = &out_.forward_end[cell - steps_];
                task.transfer = times_.send[stage - 1];
            }
            return task;
        }
        if (op.work == Work::kWeightGradient) {
            task.duration = times_.weight_gradient[stage];
            return task;
        }
        task.duration = times_.input_gradient[stage];
        if (op.work == Work::kBackward) task.duration += times_.weight_gradient[stage];
        task.end = &out_.backward_end[cell];
        if (stage + 1 < stages_) {
            task.upstream = &out_.backward_end[cell + steps_];
            task.transfer = times_.send[stage];
        } else {
            task.upstream = &out_.forward_end[cell];
        }
        return task;
    }

    const Schedule& schedule_;
    const StageTimes& times_;
    Relaxation& out_;
    std::size_t stages_;
    std::size_t steps_;
};

}  // namespace

Result<void> relax(const Schedule& schedule, const StageTimes& times, Relaxation& out) {
    const std::size_t cells = static_cast<std::size_t>(schedule.pipes) *
                              static_cast<std::size_t>(schedule.stages) *
                              static_cast<std::size_t>(schedule.micro_batches);
    const auto ranks = static_cast<std::size_t>(schedule.ranks);
    out.forward_end.assign(cells, kNotYet);
    out.backward_end.assign(cells, kNotYet);
    out.start.resize(schedule.ops.size());
    out.busy.assign(ranks, 0.0);
    out.end.assign(ranks, 0.0);
    out.cursor.assign(schedule.first.begin(), schedule.first.end() - 1);
    out.stage.clear();
    out.cells.clear();
    for (std::int32_t rank = 0; rank < schedule.ranks; ++rank)
        for (std::int32_t chunk = 0; chunk < std::max(schedule.chunks, schedule.pipes); ++chunk) {
            const std::int32_t stage = schedule.stage_of(rank, chunk);
            out.stage.push_back(static_cast<std::size_t>(stage));
            out.cells.push_back(
                static_cast<std::size_t>(schedule.pipe_of(chunk) * schedule.stages + stage) *
                static_cast<std::size_t>(schedule.micro_batches));
        }
    Relaxer relaxer(schedule, times, out);
    for (bool moved = true; moved;) {
        moved = false;
        for (std::size_t rank = 0; rank < ranks; ++rank) moved = relaxer.advance(rank) || moved;
        for (std::size_t rank = ranks; rank-- > 0;) moved = relaxer.advance(rank) || moved;
    }
    for (std::size_t rank = 0; rank < ranks; ++rank)
        if (out.cursor[rank] != schedule.first[rank + 1])
            return Error{ErrorCode::kInternal, "the pipeline schedule deadlocks",
                         std::string(name_of(schedule.kind))};
    out.makespan = *std::max_element(out.end.begin(), out.end.end());
    return {};
}

std::int64_t peak_in_flight(const Schedule& schedule, std::int32_t rank, std::int32_t chunk) {
    std::int64_t alive = 0;
    std::int64_t peak = 0;
    const auto begin = static_cast<std::size_t>(schedule.first[static_cast<std::size_t>(rank)]);
    const auto end = static_cast<std::size_t>(schedule.first[static_cast<std::size_t>(rank) + 1]);
    for (std::size_t i = begin; i < end; ++i) {
        const Op& op = schedule.ops[i];
        if (chunk >= 0 && op.chunk != chunk) continue;
        if (op.work == Work::kForward) peak = std::max(peak, ++alive);
        if (op.work == Work::kBackward || op.work == Work::kWeightGradient) --alive;
    }
    return peak;
}

std::int64_t in_flight_bound(ScheduleKind kind, std::int64_t ranks, std::int64_t chunks,
                             std::int64_t micro_batches, std::int64_t rank) {
    const std::int64_t m = micro_batches;
    switch (kind) {
        case ScheduleKind::kNone: return 1;
        case ScheduleKind::kGPipe: return m;
        case ScheduleKind::k1F1B: return std::min(m, ranks - rank);
        // Forwards in flight p - r, and r weight gradients put off.
        case ScheduleKind::kZbH1: return std::min(m, ranks);
        // The warm-up of Megatron's order, and the forward that precedes the first backward.
        case ScheduleKind::kInterleaved:
            return std::min(m * chunks, (ranks - rank - 1) * 2 + (chunks - 1) * ranks + 1);
        // arXiv 2405.15362: the same as 1F1B's first rank, in chunks of half the size.
        case ScheduleKind::kZbV: return std::min(2 * m, 2 * ranks);
        // deepseek-ai/DualPipe, README: PP + 1 activations of a stage.
        case ScheduleKind::kDualPipe: return std::min(m, ranks + 1);
        case ScheduleKind::kDualPipeV: return std::min(2 * m, 2 * ranks + 1);
    }
    return m;
}

}  // namespace ascertain::parallel
