// Mixture of experts: grouped products with empty groups, and tokens that must come back to where
// they were.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include "worker/operators/battery/batteries.hpp"
#include "worker/operators/dtype.hpp"

namespace ascertain::operators::battery {
namespace {

// Rows per expert; empty ones first, in the middle and last, and one that takes nearly all.
const std::vector<std::vector<std::int64_t>> kLoads{{16, 16, 16, 16}, {0, 33, 0, 31}, {64, 0, 0, 0},
                                                    {1, 2, 61, 0},    {0, 0, 0, 64},  {7, 9, 8, 8}};

at::Tensor ends_of(const std::vector<std::int64_t>& load) {
    return at::tensor(load).cumsum(0).to(at::kInt);
}

void ask_grouped(Bench& bench, std::size_t number) {
    bench.ask(fmt::format("grouped product, load {}", number), [&] {
        constexpr std::int64_t kWidth = 32;
        constexpr std::int64_t kOut = 48;
        const auto& load = kLoads[number];
        const at::Tensor ends = ends_of(load);
        const auto rows = ends[-1].item<std::int64_t>();
        const at::Tensor tokens = bench.whole({rows, kWidth}, 1, 9, at::kBFloat16);
        const at::Tensor weights = bench.whole(
            {static_cast<std::int64_t>(load.size()), kWidth, kOut}, 1, 9, at::kBFloat16);
        at::Tensor want = at::zeros({rows, kOut}, at::TensorOptions(at::kDouble));
        std::int64_t begin = 0;
        for (std::size_t i = 0; i < load.size(); ++i) {
            want.narrow(0, begin, load[i])
                .copy_(tokens.narrow(0, begin, load[i])
                           .to(at::kDouble)
                           .mm(weights[static_cast<std::int64_t>(i)].to(at::kDouble)));
            begin += load[i];
        }
        const at::Tensor got =
            at::_grouped_mm(bench.put(tokens), bench.put(weights), bench.put(ends));
        bench.within(bench.fetch(got), want, {.ulps = 0.5});
        const at::Tensor turned = bench.put(weights.transpose(1, 2).contiguous()).transpose(1, 2);
        bench.within(bench.fetch(at::_grouped_mm(bench.put(tokens), turned, bench.put(ends))), want,
                     {.ulps = 0.5}, "weights transposed");
    });
}

// Route, sort by expert, bring together, send back: every token returns times its weights' sum.
void ask_round_trip(Bench& bench, std::int64_t tokens, std::int64_t experts, std::int64_t chosen,
                    bool skewed, c10::ScalarType dtype) {
    bench.ask(
        fmt::format("round trip {} {} tokens, {} of {} experts{}", name_of(dtype), tokens, chosen,
                    experts, skewed ? ", skewed" : ""),
        [&] {
            constexpr std::int64_t kWidth = 24;
            // Distinct scores in fp32, so that the choice is certain.
            at::Tensor scores =
                bench.permutation(tokens * experts).to(at::kFloat).view({tokens, experts});
            if (skewed) scores.narrow(1, 0, chosen).add_(1e6F);
            const at::Tensor hidden = bench.whole({tokens, kWidth}, -8, 8, dtype);
            const auto [weights, choice] = bench.put(scores).topk(chosen, 1);
            const at::Tensor sorted_choice = std::get<0>(bench.fetch(choice).sort(1));
            const at::Tensor want_choice = std::get<0>(std::get<1>(scores.topk(chosen, 1)).sort(1));
            bench.equal(sorted_choice, want_choice, "chosen experts");

            const at::Tensor flat = choice.flatten();
            const auto [by_expert, order] = flat.sort(0);
            const at::Tensor counts = at::bincount(flat, {}, experts);
            bench.equal(bench.fetch(counts), at::bincount(want_choice.flatten(), {}, experts),
                        "load");
            bench.equal(bench.fetch(counts.cumsum(0)),
                        at::bincount(want_choice.flatten(), {}, experts).cumsum(0), "offsets");
            const at::Tensor hidden_there = bench.put(hidden);
            const at::Tensor source = order.div(chosen, "floor");
            const at::Tensor sent = hidden_there.index_select(0, source);
            // Back by scatter of places, by index_add and by argsort.
            const at::Tensor want = hidden.to(at::kDouble).mul(static_cast<double>(chosen));
            const at::Tensor added =
                at::zeros({tokens, kWidth}, hidden_there.options().dtype(at::kFloat))
                    .index_add(0, source, sent.to(at::kFloat));
            bench.within(bench.fetch(added), want, {.ulps = 0.5}, "combined by index_add");
            const at::Tensor back = at::empty_like(sent).index_copy(0, order, sent);
            bench.equal(bench.fetch(back), hidden.repeat_interleave(chosen, 0), "unsorted");
            const at::Tensor inverse = order.argsort();
            bench.equal(bench.fetch(sent.index_select(0, inverse)),
                        hidden.repeat_interleave(chosen, 0), "unsorted by argsort");
            const at::Tensor summed = back.view({tokens, chosen, kWidth}).to(at::kFloat).sum(1);
            bench.within(bench.fetch(summed), want, {.ulps = 0.5}, "combined by sum");
        });
}

}  // namespace

void experts(Bench& bench) {
    for (const c10::ScalarType dtype : bench.dtypes()) {
        for (const bool skewed : {false, true}) {
            ask_round_trip(bench, 65, 8, 2, skewed, dtype);
            ask_round_trip(bench, 40, 64, 6, skewed, dtype);
            ask_round_trip(bench, 1, 16, 3, skewed, dtype);
            ask_round_trip(bench, 2050, 16, 4, skewed, dtype);
        }
    }
    for (std::size_t i = 0; i < kLoads.size(); ++i) ask_grouped(bench, i);
}

}  // namespace ascertain::operators::battery
