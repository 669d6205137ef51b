// ZeRO stage 1 (arXiv 1910.02054): every rank keeps the moments of its share of the weights alone,
// updates that share, and gives it to the others.
#pragma once

#include <vector>

#include "worker/training/optimizer.hpp"
#include "worker/training/parallel/exchange.hpp"

namespace ascertain::training {

class ShardedAdamw {
public:
    // `parameters` are the same on every rank; both must outlive it.
    ShardedAdamw(Parameters& parameters, const AdamwOptions& options, Exchange& exchange);

    // With this rank's own gradients, whose sum over ranks is the gradient: reduce-scatter, clip by
    // the norm over all ranks, update of the own share, all-gather. Returns the norm before
    // clipping.
    double step(double learning_rate, double clip_norm);

private:
    // Weights with and without decay, each as one row of numbers, padded to a multiple of the
    // ranks.
    struct Bucket {
        std::vector<at::Tensor> values;
        at::Tensor first, second;  // moments of the own share
        at::Tensor steps;
        bool decays = false;
    };

    [[nodiscard]] at::Tensor flat(const std::vector<at::Tensor>& parts) const;

    AdamwOptions options_;
    Exchange& exchange_;
    std::vector<Bucket> buckets_;
};

}  // namespace ascertain::training
