// For tests: ranks as threads that meet at a barrier.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros_like.h>

#include <barrier>
#include <exception>
#include <functional>
#include <thread>
#include <vector>

#include "worker/training/parallel/exchange.hpp"

namespace ascertain::training::testing {

class Meeting {
public:
    explicit Meeting(std::int64_t ranks)
        : slots_(static_cast<std::size_t>(ranks)), barrier_(static_cast<std::ptrdiff_t>(ranks)) {}

    // What every rank brought, in their order; the same on each.
    std::vector<at::Tensor> meet(std::int64_t rank, const at::Tensor& brought) {
        slots_[static_cast<std::size_t>(rank)] = brought.detach().clone();
        barrier_.arrive_and_wait();
        std::vector<at::Tensor> all = slots_;
        barrier_.arrive_and_wait();
        return all;
    }

private:
    std::vector<at::Tensor> slots_;
    std::barrier<> barrier_;
};

class ThreadExchange final : public Exchange {
public:
    // With `lost`, that rank's share is missing from every sum.
    ThreadExchange(Meeting& meeting, std::int64_t rank, std::int64_t ranks, std::int64_t lost)
        : meeting_(meeting), rank_(rank), ranks_(ranks), lost_(lost) {}

    [[nodiscard]] std::int64_t rank() const override { return rank_; }
    [[nodiscard]] std::int64_t ranks() const override { return ranks_; }
    [[nodiscard]] at::Tensor all_reduce(const at::Tensor& value) override {
        const auto all = meeting_.meet(rank_, value);
        at::Tensor sum = at::zeros_like(value);
        for (std::int64_t r = 0; r < ranks_; ++r) {
            if (r != lost_) sum = sum.add(all[static_cast<std::size_t>(r)]);
        }
        return sum;
    }
    [[nodiscard]] at::Tensor all_gather(const at::Tensor& part) override {
        return at::cat(meeting_.meet(rank_, part));
    }
    [[nodiscard]] at::Tensor reduce_scatter(const at::Tensor& whole) override {
        const std::int64_t own = whole.size(0) / ranks_;
        return all_reduce(whole).narrow(0, rank_ * own, own).contiguous();
    }
    [[nodiscard]] at::Tensor all_to_all(const at::Tensor& pieces) override {
        const std::int64_t own = pieces.size(0) / ranks_;
        std::vector<at::Tensor> mine;
        for (const at::Tensor& other : meeting_.meet(rank_, pieces)) {
            mine.push_back(other.narrow(0, rank_ * own, own));
        }
        return at::cat(mine);
    }

private:
    Meeting& meeting_;
    std::int64_t rank_;
    std::int64_t ranks_;
    std::int64_t lost_;
};

// work(exchange) on every rank at once.
inline void on_ranks(std::int64_t ranks, const std::function<void(Exchange&)>& work,
                     std::int64_t lost = -1) {
    Meeting meeting(ranks);
    std::vector<std::thread> threads;
    for (std::int64_t rank = 0; rank < ranks; ++rank) {
        threads.emplace_back([&, rank] {
            at::set_num_threads(1);  // of this rank: the machine has few cores for many ranks
            ThreadExchange exchange(meeting, rank, ranks, lost);
            work(exchange);
        });
    }
    for (std::thread& thread : threads) thread.join();
}

}  // namespace ascertain::training::testing
