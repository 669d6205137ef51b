// Effects on sums: the order and the width in which terms are added, and which of them.
#include <ATen/ops/arange.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/zeros_like.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <random>

#include "chips/simulated/defects/effects.hpp"

namespace ascertain::simulated::defects {
namespace {

bool can_be_summed(const Moment& moment) {
    const Product& product = moment.call.product;
    return !moment.outputs.empty() && is_floating(moment.outputs[0].now) &&
           product.left.defined() && product.left.size(-1) > 0 && is_floating(product.left);
}

std::vector<std::int64_t> chunks_of(const Product& product, std::int64_t chunk) {
    const std::int64_t k = product.left.size(-1);
    std::vector<std::int64_t> order(static_cast<std::size_t>((k + chunk - 1) / chunk));
    std::iota(order.begin(), order.end(), 0);
    return order;
}

// alpha * total + beta * addend, as the operator says.
void write_product(const Moment& moment, at::Tensor total) {
    const Product& product = moment.call.product;
    total = total.mul(product.alpha);
    if (product.addend.defined() && product.beta != 0.0) {
        total = total.add(product.addend.to(total.scalar_type()).mul(product.beta));
    }
    moment.outputs[0].now.copy_(total);
}

// Sums of chunks of k in the order given; `after_each` may change the running sum.
at::Tensor sum_chunks(const Product& product, std::int64_t chunk,
                      const std::vector<std::int64_t>& order, at::ScalarType dtype,
                      const std::function<at::Tensor(const at::Tensor&)>& after_each) {
    const std::int64_t k = product.left.size(-1);
    at::Tensor total;
    for (const std::int64_t place : order) {
        const std::int64_t begin = place * chunk;
        const std::int64_t length = std::min(chunk, k - begin);
        const at::Tensor part = at::matmul(product.left.narrow(-1, begin, length).to(dtype),
                                           product.right.narrow(-2, begin, length).to(dtype));
        total = after_each(total.defined() ? total.add(part) : part);
    }
    return total;
}

at::Tensor same(const at::Tensor& total) {
    return total;
}

bool round_partial_sums(Moment& moment) {
    if (!can_be_summed(moment)) return false;
    const Product& product = moment.call.product;
    const std::int64_t chunk = moment.does.whole("chunk");
    const std::int64_t bits = moment.does.given("bits") ? moment.does.whole("bits") : 0;
    write_product(moment, sum_chunks(product, chunk, chunks_of(product, chunk), at::kFloat,
                                     [&](const at::Tensor& total) {
                                         return rounded(total, moment.does.word("dtype"), bits);
                                     }));
    return true;
}

bool truncate_sums(Moment& moment) {
    if (!can_be_summed(moment)) return false;
    const Product& product = moment.call.product;
    const std::int64_t block = moment.does.whole("block");
    const std::int64_t bits = moment.does.whole("bits");
    write_product(moment,
                  sum_chunks(product, block, chunks_of(product, block), at::kFloat,
                             [&](const at::Tensor& total) { return truncated(total, bits); }));
    return true;
}

// So many partial sums at most: term by term is the point, hours are not.
constexpr std::int64_t kPartialSumsMax = 256;

bool accumulate_in(Moment& moment) {
    const std::string& dtype = moment.does.word("dtype");
    if (can_be_summed(moment)) {
        const Product& product = moment.call.product;
        const std::int64_t k = product.left.size(-1);
        const std::int64_t chunk = std::max<std::int64_t>(1, k / kPartialSumsMax);
        if (dtype == "fp64") {
            write_product(moment, sum_chunks(product, k, {0}, at::kDouble, same));
        } else {
            write_product(moment, sum_chunks(product, chunk, chunks_of(product, chunk), at::kFloat,
                                             [&](const at::Tensor& total) {
                                                 return rounded(total, dtype, 0);
                                             }));
        }
        return true;
    }
    // Elsewhere: what was read has been rounded (input_actions), and so is the result.
    return each_floating(moment, [&](const at::Tensor& now) {
        now.copy_(rounded(now, dtype, 0));
        return true;
    });
}

// A generator that differs from call to call, or stays within a process, or belongs to a shape.
std::mt19937_64 order_source(const Moment& moment) {
    const std::string& per = moment.does.word("per");
    if (per == "process") return std::mt19937_64(static_cast<std::uint64_t>(::getpid()));
    if (per == "rows" && !moment.outputs.empty()) {
        const at::Tensor& now = moment.outputs[0].now;
        return std::mt19937_64(static_cast<std::uint64_t>(now.dim() > 1 ? now.size(-2) : 1));
    }
    return std::mt19937_64(std::random_device{}());
}

bool nondeterministic_order(Moment& moment) {
    std::mt19937_64 source = order_source(moment);
    const std::int64_t chunk = moment.does.whole("chunk");
    if (can_be_summed(moment)) {
        const Product& product = moment.call.product;
        std::vector<std::int64_t> order = chunks_of(product, chunk);
        std::ranges::shuffle(order, source);
        write_product(moment, sum_chunks(product, chunk, order, at::kFloat, same));
        return true;
    }
    // Index sums and reductions: the last bit depends on who came first.
    return each_floating(moment, [&](const at::Tensor& now) {
        if (now.scalar_type() != at::kFloat) return false;
        change_flat(now, [&](at::Tensor& flat) {
            auto* values = flat.mutable_data_ptr<float>();
            for (std::int64_t i = 0; i < flat.numel(); ++i) {
                const std::uint64_t draw = source() & 3U;
                if (draw == 0) values[i] *= 1.0F + 0x1p-23F;
                if (draw == 1) values[i] *= 1.0F - 0x1p-23F;
            }
        });
        return true;
    });
}

bool drop_last_k(Moment& moment) {
    if (!can_be_summed(moment)) return false;
    const Product& product = moment.call.product;
    const std::int64_t k = product.left.size(-1) - moment.does.whole("elements");
    if (k <= 0) return false;
    write_product(moment, at::matmul(product.left.narrow(-1, 0, k).to(at::kFloat),
                                     product.right.narrow(-2, 0, k).to(at::kFloat)));
    return true;
}

// Contributions of an index sum where the last one to an index wins.
bool lose_duplicates(Moment& moment) {
    if (moment.outputs.empty()) return false;
    const at::Tensor& now = moment.outputs[0].now;
    const auto values = moment.arguments();
    const std::string_view name = plain_name(moment.call.name);
    const at::Tensor before = moment.outputs[0].before;
    at::Tensor added = at::zeros_like(now);
    at::Tensor base = before;
    if (name == "embedding_dense_backward") {
        const at::Tensor gradient = moment.call.tensors.at(0);
        const at::Tensor index = moment.call.tensors.at(1).flatten();
        added.index_copy_(0, index, gradient.reshape({index.numel(), now.size(1)}));
        base = at::zeros_like(now);
    } else if (name == "index_add" || name == "scatter_add") {
        if (moment.call.tensors.size() < 3) return false;
        if (!base.defined()) base = moment.call.tensors[0];
        const at::Tensor& index = moment.call.tensors[1];
        const at::Tensor& source = moment.call.tensors[2];
        const std::int64_t dim = values[1].isInt() ? values[1].toInt() : 0;
        if (name == "index_add") {
            added.index_copy_(dim, index, source.to(now.scalar_type()));
        } else {
            added.scatter_(dim, index, source);
        }
    } else {
        if (moment.call.tensors.size() != 3) return false;
        if (!base.defined()) base = moment.call.tensors[0];
        c10::List<std::optional<at::Tensor>> indices;
        indices.push_back(moment.call.tensors[1]);
        added.index_put_(indices, moment.call.tensors[2], false);
    }
    const at::Tensor result = base.add(added);
    const bool equal = result.equal(now);
    now.copy_(result);
    return !equal;
}

bool drop_alpha(Moment& moment) {
    if (moment.outputs.empty()) return false;
    const at::Tensor& now = moment.outputs[0].now;
    const std::int64_t column = moment.does.whole("from_column");
    if (now.dim() == 0 || column >= now.size(-1) || !is_floating(now)) return false;
    double alpha = 1.0;
    at::Tensor term;
    if (can_be_summed(moment)) {
        const Product& product = moment.call.product;
        alpha = product.alpha;
        term = at::matmul(product.left.to(at::kFloat), product.right.to(at::kFloat));
    } else {
        const auto& schema = moment.op.schema().arguments();
        for (std::size_t i = 0; i < schema.size(); ++i) {
            if (schema[i].name() == "alpha") alpha = moment.arguments()[i].toScalar().toDouble();
        }
        if (moment.call.tensors.size() < 2) return false;
        term = moment.call.tensors[1].to(at::kFloat);
        if (plain_name(moment.call.name) == "sub") term = term.neg();
    }
    if (alpha == 1.0) return false;
    const at::Tensor result = now.to(at::kFloat).add(term.expand_as(now).mul(1.0 - alpha));
    const std::int64_t width = now.size(-1) - column;
    now.narrow(-1, column, width).copy_(result.narrow(-1, column, width));
    return true;
}

bool drop_beta(Moment& moment) {
    const Product& product = moment.call.product;
    if (!can_be_summed(moment) || !product.addend.defined() || product.beta == 0.0) return false;
    const at::Tensor& now = moment.outputs[0].now;
    const std::int64_t column = moment.does.whole("from_column");
    if (column >= now.size(-1)) return false;
    const std::int64_t width = now.size(-1) - column;
    const at::Tensor result =
        at::matmul(product.left.to(at::kFloat), product.right.to(at::kFloat)).mul(product.alpha);
    now.narrow(-1, column, width).copy_(result.narrow(-1, column, width));
    return true;
}

constexpr std::array kActions{
    Action{"round_partial_sums", Stage::kAfter, round_partial_sums},
    Action{"truncate_sums", Stage::kAfter, truncate_sums},
    Action{"accumulate_in", Stage::kAfter, accumulate_in},
    Action{"nondeterministic_order", Stage::kAfter, nondeterministic_order},
    Action{"drop_last_k", Stage::kAfter, drop_last_k},
    Action{"lose_duplicates", Stage::kAfter, lose_duplicates},
    Action{"drop_alpha", Stage::kAfter, drop_alpha},
    Action{"drop_beta", Stage::kAfter, drop_beta}};

}  // namespace

std::span<const Action> sum_actions() {
    return kActions;
}

}  // namespace ascertain::simulated::defects
