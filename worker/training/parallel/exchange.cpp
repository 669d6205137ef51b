#include "worker/training/parallel/exchange.hpp"

#include <torch/csrc/autograd/custom_function.h>

namespace ascertain::training {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// A collective and the one that brings the gradient back.
enum class Way { kGather, kScatter, kTrade };

at::Tensor go(Exchange& exchange, Way way, const at::Tensor& value) {
    const at::Tensor plain = value.contiguous();
    switch (way) {
        case Way::kGather: return exchange.all_gather(plain);
        case Way::kScatter: return exchange.reduce_scatter(plain);
        case Way::kTrade: return exchange.all_to_all(plain);
    }
    return {};
}

Way back(Way way) {
    switch (way) {
        case Way::kGather: return Way::kScatter;
        case Way::kScatter: return Way::kGather;
        case Way::kTrade: return Way::kTrade;
    }
    return way;
}

struct Collective : torch::autograd::Function<Collective> {
    static at::Tensor forward(AutogradContext* context, const at::Tensor& value,
                              std::int64_t address, std::int64_t way) {
        context->saved_data["exchange"] = address;
        context->saved_data["way"] = way;
        return go(*reinterpret_cast<Exchange*>(address), static_cast<Way>(way), value);
    }
    static variable_list backward(AutogradContext* context, variable_list gradients) {
        auto* exchange = reinterpret_cast<Exchange*>(context->saved_data["exchange"].toInt());
        const Way way = back(static_cast<Way>(context->saved_data["way"].toInt()));
        return {go(*exchange, way, gradients[0]), at::Tensor(), at::Tensor()};
    }
};

at::Tensor through(Exchange& exchange, Way way, const at::Tensor& value) {
    return Collective::apply(value, reinterpret_cast<std::int64_t>(&exchange),
                             static_cast<std::int64_t>(way));
}

}  // namespace

at::Tensor gathered(Exchange& exchange, const at::Tensor& part) {
    return through(exchange, Way::kGather, part);
}
at::Tensor scattered(Exchange& exchange, const at::Tensor& whole) {
    return through(exchange, Way::kScatter, whole);
}
at::Tensor traded(Exchange& exchange, const at::Tensor& pieces) {
    return through(exchange, Way::kTrade, pieces);
}

}  // namespace ascertain::training
