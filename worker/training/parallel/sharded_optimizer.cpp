#include "worker/training/parallel/sharded_optimizer.hpp"

#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

namespace ascertain::training {

ShardedAdamw::ShardedAdamw(Parameters& parameters, const AdamwOptions& options, Exchange& exchange)
    : options_(options), exchange_(exchange) {
    const c10::AutoGradMode no_gradients(false);
    for (const bool decays : {true, false}) {
        Bucket bucket;
        bucket.decays = decays;
        for (const Parameter& parameter : parameters.all()) {
            if (parameter.trained && parameter.decays == decays) {
                bucket.values.push_back(parameter.value);
            }
        }
        if (bucket.values.empty()) continue;
        const at::Tensor all = flat(bucket.values);
        const std::int64_t own = all.size(0) / exchange_.ranks();
        bucket.first = at::zeros({own}, all.options());
        bucket.second = at::zeros({own}, all.options());
        bucket.steps = at::zeros({}, all.options());
        buckets_.push_back(std::move(bucket));
    }
}

at::Tensor ShardedAdamw::flat(const std::vector<at::Tensor>& parts) const {
    std::vector<at::Tensor> rows;
    std::int64_t total = 0;
    for (const at::Tensor& part : parts) {
        rows.push_back(part.detach().flatten());
        total += part.numel();
    }
    const std::int64_t padding =
        (exchange_.ranks() - total % exchange_.ranks()) % exchange_.ranks();
    if (padding > 0) rows.push_back(at::zeros({padding}, rows.front().options()));
    return at::cat(rows);
}

double ShardedAdamw::step(double learning_rate, double clip_norm) {
    const c10::AutoGradMode no_gradients(false);
    std::vector<at::Tensor> shares;
    at::Tensor squares;
    for (const Bucket& bucket : buckets_) {
        std::vector<at::Tensor> gradients;
        for (const at::Tensor& value : bucket.values) {
            gradients.push_back(value.grad().defined() ? value.grad() : at::zeros_like(value));
        }
        shares.push_back(exchange_.reduce_scatter(flat(gradients)));
        const at::Tensor own = shares.back().square().sum().reshape({1});
        squares = squares.defined() ? squares.add(own) : own;
    }
    const double norm = std::sqrt(exchange_.all_reduce(squares).to(at::kCPU).item<double>());
    const double factor = std::min(1.0, clip_norm / (norm + 1e-6));
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
        Bucket& bucket = buckets_[i];
        const at::Tensor all = flat(bucket.values);
        const std::int64_t own = shares[i].size(0);
        at::Tensor share = all.narrow(0, exchange_.rank() * own, own).clone();
        at::Tensor gradient = shares[i].mul(factor);
        bucket.steps.add_(1);
        at::_fused_adamw_({share}, {gradient}, {bucket.first}, {bucket.second}, {}, {bucket.steps},
                          learning_rate, options_.beta1, options_.beta2,
                          bucket.decays ? options_.weight_decay : 0.0, options_.epsilon,
                          /*amsgrad=*/false, /*maximize=*/false);
        const at::Tensor updated = exchange_.all_gather(share);
        std::int64_t begin = 0;
        for (const at::Tensor& value : bucket.values) {
            value.copy_(updated.narrow(0, begin, value.numel()).view(value.sizes()));
            begin += value.numel();
        }
    }
    return norm;
}

}  // namespace ascertain::training
