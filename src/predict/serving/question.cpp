#include "predict/serving/question.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <utility>

namespace ascertain::serving {
namespace {

constexpr std::array<std::pair<Precision, std::string_view>, 4> kNames{{{Precision::kBf16, "bf16"},
                                                                        {Precision::kFp8, "fp8"},
                                                                        {Precision::kInt8, "int8"},
                                                                        {Precision::kFp4, "fp4"}}};
constexpr double kFp4BlockScale = 1.0 / 16.0;  // one 8-bit scale for 16 elements

Error refuse(std::string_view field, std::string message) {
    return {ErrorCode::kBadInput, std::move(message), fmt::format("serving: {}", field)};
}

bool positive(double value) {
    return std::isfinite(value) && value > 0.0;
}

catalog::Format peak_format(Precision precision) {
    switch (precision) {
        case Precision::kBf16: return catalog::Format::kBf16;
        case Precision::kFp8: return catalog::Format::kFp8;
        case Precision::kInt8: return catalog::Format::kInt8;
        case Precision::kFp4: return catalog::Format::kFp4;
    }
    return catalog::Format::kBf16;
}

}  // namespace

std::string_view name_of(Precision precision) {
    for (const auto& [value, name] : kNames)
        if (value == precision) return name;
    return "bf16";
}

std::optional<Precision> precision_from(std::string_view name) {
    for (const auto& [value, known] : kNames)
        if (known == name) return value;
    return std::nullopt;
}

double weight_bytes(Precision precision) {
    switch (precision) {
        case Precision::kBf16: return 2.0;
        case Precision::kFp8:
        case Precision::kInt8: return 1.0;
        case Precision::kFp4: return 0.5 + kFp4BlockScale;
    }
    return 2.0;
}

Precision natural_precision(const model::Architecture& architecture, const catalog::Chip& chip) {
    const bool eight_bits =
        architecture.dtype == model::Dtype::kFp8 || architecture.quantisation.method == "fp8";
    if (!eight_bits) return Precision::kBf16;
    if (chip.peak(catalog::Format::kFp8).known()) return Precision::kFp8;
    if (chip.peak(catalog::Format::kInt8).known()) return Precision::kInt8;
    return Precision::kBf16;
}

std::string describe(const Layout& layout) {
    std::string text = fmt::format("tp{}", layout.tp);
    if (layout.dp > 1) text += fmt::format(" dp{}", layout.dp);
    if (layout.pp > 1) text += fmt::format(" pp{}", layout.pp);
    return text;
}

Result<void> check(const model::Architecture& architecture, const Layout& layout,
                   const Engine& engine) {
    constexpr std::int64_t kSizeMax = 1 << 20;
    const auto size = [](std::int64_t value) { return value >= 1 && value <= kSizeMax; };
    if (!size(layout.tp)) return refuse("tp", fmt::format("{} is outside 1 to 2^20", layout.tp));
    if (!size(layout.dp)) return refuse("dp", fmt::format("{} is outside 1 to 2^20", layout.dp));
    if (layout.pp < 1 || layout.pp > model::layer_count(architecture))
        return refuse("pp", fmt::format("{} is outside 1 to the {} layers of {}", layout.pp,
                                        model::layer_count(architecture), architecture.name));
    if (architecture.attention.heads % layout.tp != 0)
        return refuse("tp",
                      fmt::format("{} does not divide the {} attention heads of {}", layout.tp,
                                  architecture.attention.heads, architecture.name));
    if (layout.dp > 1 && architecture.moe.experts == 0)
        return refuse("dp",
                      "a model without experts has nothing to share between groups: its "
                      "replicas are independent, so dp is 1");
    if (!size(engine.batch_max))
        return refuse("batch_max", fmt::format("{} is outside 1 to 2^20", engine.batch_max));
    if (!size(engine.prefill_tokens))
        return refuse("prefill_tokens",
                      fmt::format("{} is outside 1 to 2^20", engine.prefill_tokens));
    if (!positive(engine.cache_bytes) || engine.cache_bytes > 8.0)
        return refuse("cache_bytes", fmt::format("{} bytes an element", engine.cache_bytes));
    if (engine.draft_tokens < 0 || engine.draft_tokens > 16)
        return refuse("draft_tokens", fmt::format("{} is outside 0 to 16", engine.draft_tokens));
    if (!(engine.acceptance >= 0.0 && engine.acceptance <= 1.0))
        return refuse("acceptance", fmt::format("{} is outside 0 to 1", engine.acceptance));
    if (engine.draft_tokens > 0 && architecture.mtp_layers == 0)
        return refuse("draft_tokens", fmt::format("{} has no multi-token-prediction module to "
                                                  "propose them",
                                                  architecture.name));
    return {};
}

Result<void> check(const Workload& workload) {
    if (!positive(workload.prompt_tokens) || workload.prompt_tokens > 1e9)
        return refuse("prompt_tokens",
                      fmt::format("{} is not between 0 and 1e9", workload.prompt_tokens));
    if (!positive(workload.output_tokens) || workload.output_tokens > 1e9)
        return refuse("output_tokens",
                      fmt::format("{} is not between 0 and 1e9", workload.output_tokens));
    if (!(workload.cached_ratio >= 0.0 && workload.cached_ratio < 1.0))
        return refuse("cached_ratio", fmt::format("{} is outside [0, 1)", workload.cached_ratio));
    return {};
}

Result<Priced> priced(const catalog::Fleet& fleet, const Layout& layout, const Engine& engine) {
    Priced out{fleet, {}};
    out.fleet.count = layout.chips();
    const auto& peak = fleet.chip.peak(peak_format(engine.precision));
    const auto known = catalog::need(
        peak, fmt::format("chip {}: peak_dense.{}", fleet.chip.id, name_of(engine.precision)));
    if (!known) return known.error();
    if (engine.precision == Precision::kInt8)
        out.fleet.chip.peak_dense[static_cast<std::size_t>(catalog::Format::kFp8)] = peak;
    out.job.dtype = model::Dtype::kBf16;
    switch (engine.precision) {
        case Precision::kBf16: out.job.linear = cost::LinearFormat::kSame; break;
        case Precision::kFp8:
        case Precision::kInt8: out.job.linear = cost::LinearFormat::kFp8; break;
        case Precision::kFp4: out.job.linear = cost::LinearFormat::kFp4; break;
    }
    // Serving engines fuse element-wise operators and replay captured graphs.
    out.job.compiled = true;
    out.job.captured_graphs = true;
    out.job.sequence_length = 1;
    out.job.global_batch_sequences = 1;
    return out;
}

}  // namespace ascertain::serving
