#include "worker/training/parallel/fabric_exchange.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>

namespace ascertain::training {

using collectives::Kind;

at::Tensor FabricExchange::run(Kind kind, const at::Tensor& value, std::int64_t first) {
    std::vector<std::int64_t> shape = value.sizes().vec();
    std::int64_t count = first;
    for (std::size_t d = 1; d < shape.size(); ++d) count *= shape[d];
    if (!shape.empty()) shape[0] = first;
    // What a fabric carries is flat and on the host.
    at::Tensor sent = value.detach().to(at::kCPU).contiguous().flatten();
    if (loses_share_ && collectives::reduces(kind)) sent = at::zeros_like(sent);
    at::Tensor received = at::empty({count}, sent.options());
    fabric_.run(kind, sent, received);
    return received.view(shape).to(value.device());
}

at::Tensor FabricExchange::all_reduce(const at::Tensor& value) {
    return run(Kind::kAllReduce, value, value.dim() == 0 ? 1 : value.size(0));
}
at::Tensor FabricExchange::all_gather(const at::Tensor& part) {
    return run(Kind::kAllGather, part, part.size(0) * ranks());
}
at::Tensor FabricExchange::reduce_scatter(const at::Tensor& whole) {
    return run(Kind::kReduceScatter, whole, whole.size(0) / ranks());
}
at::Tensor FabricExchange::all_to_all(const at::Tensor& pieces) {
    return run(Kind::kAllToAll, pieces, pieces.size(0));
}

}  // namespace ascertain::training
