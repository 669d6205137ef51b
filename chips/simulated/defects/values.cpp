// Effects on the values of an output.
#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/where.h>

#include <array>
#include <cmath>
#include <limits>

#include "chips/simulated/defects/effects.hpp"

namespace ascertain::simulated::defects {
namespace {

std::int64_t below(Moment& moment, std::int64_t bound) {
    return static_cast<std::int64_t>(
        moment.random.below(static_cast<std::uint64_t>(std::max<std::int64_t>(1, bound))));
}

// Where a flat element in logical order lies, in bytes from the tensor's first.
std::int64_t byte_of(const at::Tensor& tensor, std::int64_t element) {
    std::int64_t rest = element % tensor.numel();
    std::int64_t place = 0;
    for (std::int64_t dim = tensor.dim(); dim-- > 0;) {
        place += rest % tensor.size(dim) * tensor.stride(dim);
        rest /= tensor.size(dim);
    }
    return place * static_cast<std::int64_t>(tensor.element_size());
}

at::Tensor columns_from(const at::Tensor& output, std::int64_t first) {
    if (output.dim() == 0 || first >= output.size(-1)) return {};
    return output.narrow(-1, first, output.size(-1) - first);
}

bool scale(Moment& moment) {
    const double factor = moment.does.number("factor");
    const std::int64_t elements = moment.does.whole("elements");
    const std::int64_t wanted = moment.does.whole("output");
    const std::int64_t column = moment.does.whole("from_column");
    bool done = false;
    for (std::size_t i = 0; i < moment.outputs.size(); ++i) {
        const at::Tensor& now = moment.outputs[i].now;
        if (!is_floating(now) || (wanted >= 0 && static_cast<std::int64_t>(i) != wanted)) continue;
        if (elements > 0) {
            change_flat(now, [&](at::Tensor& flat) {
                for (std::int64_t n = 0; n < elements; ++n) {
                    flat.narrow(0, below(moment, flat.numel()), 1).mul_(factor);
                }
            });
        } else {
            const at::Tensor part = column > 0 ? columns_from(now, column) : now;
            if (!part.defined()) continue;
            part.mul_(factor);
        }
        done = true;
    }
    return done;
}

bool bias(Moment& moment) {
    const double value = moment.does.number("value");
    const bool relative = moment.does.word("relative") == "yes";
    return each_floating(moment, [&](const at::Tensor& now) {
        if (relative) {
            now.add_(now.abs().mul(value));
        } else {
            now.add_(value);
        }
        return true;
    });
}

bool flip_bit(Moment& moment) {
    const std::int64_t bit = moment.does.whole("bit");
    const std::int64_t modulo = moment.does.whole("column_modulo");
    bool done = false;
    for (const Output& output : moment.outputs) {
        const at::Tensor& now = output.now;
        const auto size = static_cast<std::int64_t>(now.element_size());
        if (now.numel() == 0 || bit >= 8 * size) continue;
        std::int64_t element = moment.does.whole("element");
        if (element < 0) element = below(moment, now.numel());
        if (modulo > 0 && now.dim() > 0) {
            const std::int64_t width = now.size(-1);
            const std::int64_t column = moment.does.whole("column") % modulo;
            if (column >= width) continue;
            const std::int64_t choices = (width - column + modulo - 1) / modulo;
            element = element / width * width + column + modulo * below(moment, choices);
        }
        auto* bytes = static_cast<std::uint8_t*>(now.mutable_data_ptr()) + byte_of(now, element);
        bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));  // little-endian
        done = true;
    }
    return done;
}

bool stuck_bit(Moment& moment) {
    const std::int64_t bit = moment.does.whole("bit");
    const auto mask = static_cast<std::uint8_t>(1U << (bit % 8));
    bool done = false;
    for (const Output& output : moment.outputs) {
        const at::Tensor& now = output.now;
        if (bit >= 8 * static_cast<std::int64_t>(now.element_size())) continue;
        auto* bytes = static_cast<std::uint8_t*>(now.mutable_data_ptr());
        for (std::int64_t at = moment.does.whole("first"); at < now.numel();
             at += moment.does.whole("every")) {
            std::uint8_t& byte = bytes[byte_of(now, at) + bit / 8];
            const auto wanted = static_cast<std::uint8_t>(
                moment.does.whole("to") != 0 ? byte | mask : byte & ~mask);
            done |= wanted != byte;
            byte = wanted;
        }
    }
    return done;
}

bool saturate(Moment& moment) {
    const double limit = moment.does.number("limit");
    return each_floating(moment, [&](const at::Tensor& now) {
        const at::Tensor changed = now.clamp(-limit, limit);
        at::Tensor result = at::where(at::isnan(now), now, changed);
        if (moment.does.given("nan_becomes")) {
            result = result.masked_fill(at::isnan(now), moment.does.number("nan_becomes"));
        }
        const bool same = result.equal(now);
        now.copy_(result);
        return !same;
    });
}

bool overflow(Moment& moment) {
    const double limit = moment.does.number("limit");
    return each_floating(moment, [&](const at::Tensor& now) {
        const at::Tensor beyond = now.abs().gt(limit);
        if (!beyond.any().item<bool>()) return false;
        now.copy_(at::where(beyond, now.sign().mul(std::numeric_limits<double>::infinity()), now));
        return true;
    });
}

bool replace_value(Moment& moment) {
    const double value = moment.does.number("value");
    const double by = moment.does.number("by");
    return each_floating(moment, [&](const at::Tensor& now) {
        at::Tensor such = std::isnan(value) ? at::isnan(now) : now.eq(value);
        if (value == 0.0) such = such.logical_and(now.signbit().eq(std::signbit(value)));
        if (!such.any().item<bool>()) return false;
        now.masked_fill_(such, by);
        return true;
    });
}

double least_normal(at::ScalarType dtype) {
    switch (dtype) {
        case at::kHalf: return 6.103515625e-05;
        case at::kDouble: return std::numeric_limits<double>::min();
        default: return static_cast<double>(std::numeric_limits<float>::min());
    }
}

bool flush(const at::Tensor& values) {
    const at::Tensor tiny =
        values.abs().lt(least_normal(values.scalar_type())).logical_and(values.ne(0.0));
    if (!tiny.any().item<bool>()) return false;
    values.masked_fill_(tiny, 0.0);
    return true;
}

bool flush_outputs(Moment& moment) {
    if (moment.does.word("of") == "inputs") return false;
    return each_floating(moment, flush);
}

bool overwrite(Moment& moment) {
    const double value = moment.does.number("value");
    const std::string& which = moment.does.word("which");
    const std::int64_t elements = moment.does.whole("elements");
    const std::optional<at::Tensor> input = main_tensor(moment.call);
    return each_floating(moment, [&](const at::Tensor& now) {
        if (which == "all") {
            now.fill_(value);
            return true;
        }
        const std::int64_t width = now.dim() > 0 ? now.size(-1) : 1;
        if (which == "where_input_above" || which == "such_rows") {
            if (!input || !is_floating(*input)) return false;
            at::Tensor such;
            if (which == "where_input_above") {
                if (input->sizes() != now.sizes()) return false;
                such = input->gt(moment.does.number("above"));
            } else {
                if (input->dim() == 0 || now.dim() == 0) return false;
                const at::Tensor wide = input->to(at::kFloat);
                such = wide.abs().eq(std::numeric_limits<double>::infinity()).all(-1);
                such = such.logical_or(at::isnan(wide).all(-1)).logical_or(wide.eq(0.0).all(-1));
                if (such.numel() * width != now.numel()) return false;
                such = such.reshape({-1, 1}).expand({-1, width}).reshape(now.sizes());
            }
            if (!such.any().item<bool>()) return false;
            now.masked_fill_(such, value);
            return true;
        }
        change_flat(now, [&](at::Tensor& flat) {
            const std::int64_t count = std::min(elements, flat.numel());
            if (which == "head") flat.narrow(0, 0, count).fill_(value);
            if (which == "tail") flat.narrow(0, flat.numel() - count, count).fill_(value);
            for (std::int64_t n = 0; which == "random" && n < count; ++n) {
                flat.narrow(0, below(moment, flat.numel()), 1).fill_(value);
            }
            for (std::int64_t n = 0; which == "rows" && n < elements; ++n) {
                const std::int64_t row = below(moment, flat.numel() / width);
                flat.narrow(0, row * width, width).fill_(value);
            }
        });
        return true;
    });
}

bool zero_output(Moment& moment) {
    bool done = false;
    for (const Output& output : moment.outputs) {
        if (output.now.numel() == 0) continue;
        output.now.zero_();
        done = true;
    }
    return done;
}

double unit_of(std::string_view dtype) {
    if (dtype == "fp64") return 0x1p-52;
    if (dtype == "fp32") return 0x1p-23;
    if (dtype == "fp16") return 0x1p-10;
    return dtype == "bf16" ? 0x1p-7 : 0x1p-3;
}

bool perturb_ulp(Moment& moment) {
    const double share = moment.does.number("share");
    const double step = moment.does.number("ulps") * unit_of(moment.does.word("dtype"));
    const bool biased = moment.does.word("biased") == "yes";
    return each_floating(moment, [&](const at::Tensor& now) {
        const at::Tensor wide = now.to(at::kDouble);
        const at::Tensor exponent = wide.abs().log2().floor().exp2().nan_to_num(0.0, 0.0, 0.0);
        at::Tensor direction = wide.sign();
        if (!biased) direction = at::randn(wide.sizes(), wide.options()).sign();
        const at::Tensor drawn = at::rand(wide.sizes(), wide.options()).lt(share);
        now.copy_(wide.add(exponent.mul(direction).mul(step).mul(drawn)));
        return drawn.any().item<bool>();
    });
}

bool round_output(Moment& moment) {
    const std::string& dtype = moment.does.word("dtype");
    const std::int64_t bits = moment.does.given("bits") ? moment.does.whole("bits") : 0;
    return each_floating(moment, [&](const at::Tensor& now) {
        const at::Tensor result = rounded(now, dtype, bits);
        const bool same = result.equal(now);
        now.copy_(result);
        return !same;
    });
}

bool truncate(Moment& moment) {
    const std::string& dtype = moment.does.word("dtype");
    const std::int64_t bits = dtype == "bf16" ? 7 : dtype == "fp16" ? 10 : dtype == "fp8" ? 3 : 23;
    const std::optional<at::Tensor> source = main_tensor(moment.call);
    return each_floating(moment, [&](const at::Tensor& now) {
        // A copy to fewer bits: the bits are still in what was read.
        const bool from_wider = source && source->sizes() == now.sizes() &&
                                source->element_size() > now.element_size() && is_floating(*source);
        const at::Tensor wide = (from_wider ? *source : now).to(at::kFloat);
        const at::Tensor result = truncated(wide, bits).to(now.scalar_type());
        const bool same = result.equal(now);
        now.copy_(result);
        return !same;
    });
}

bool add_garbage(Moment& moment) {
    const double size = moment.does.number("size");
    return each_floating(moment, [&](const at::Tensor& now) {
        const at::Tensor wide = now.to(at::kFloat);
        now.copy_(
            wide.add(at::randn(wide.sizes(), wide.options()).mul(wide.abs().max()).mul(size)));
        return true;
    });
}

bool reorder_ties(Moment& moment) {
    if (moment.outputs.size() < 2) return false;
    const at::Tensor& values = moment.outputs[0].now;
    const at::Tensor& indices = moment.outputs[1].now;
    if (values.dim() == 0 || values.size(-1) < 2 || indices.sizes() != values.sizes()) return false;
    const std::int64_t pairs = values.size(-1) / 2;
    const at::Tensor order = indices.narrow(-1, 0, 2 * pairs).clone().unflatten(-1, {pairs, 2});
    const at::Tensor grouped = values.narrow(-1, 0, 2 * pairs).clone().unflatten(-1, {pairs, 2});
    const at::Tensor tied = grouped.select(-1, 0).eq(grouped.select(-1, 1)).unsqueeze(-1);
    if (!tied.any().item<bool>()) return false;
    indices.narrow(-1, 0, 2 * pairs).copy_(at::where(tied, order.flip({-1}), order).flatten(-2));
    return true;
}

constexpr std::array kActions{Action{"scale", Stage::kAfter, scale},
                              Action{"bias", Stage::kAfter, bias},
                              Action{"flip_bit", Stage::kAfter, flip_bit},
                              Action{"stuck_bit", Stage::kAfter, stuck_bit},
                              Action{"saturate", Stage::kAfter, saturate},
                              Action{"overflow", Stage::kAfter, overflow},
                              Action{"replace_value", Stage::kAfter, replace_value},
                              Action{"flush_subnormals", Stage::kAfter, flush_outputs},
                              Action{"overwrite", Stage::kAfter, overwrite},
                              Action{"zero_output", Stage::kAfter, zero_output},
                              Action{"perturb_ulp", Stage::kAfter, perturb_ulp},
                              Action{"round_output", Stage::kAfter, round_output},
                              Action{"truncate", Stage::kAfter, truncate},
                              Action{"add_garbage", Stage::kAfter, add_garbage},
                              Action{"reorder_ties", Stage::kAfter, reorder_ties}};

}  // namespace

void change_flat(const at::Tensor& output, const std::function<void(at::Tensor&)>& change) {
    at::Tensor flat = output.clone(at::MemoryFormat::Contiguous).view({-1});
    change(flat);
    output.copy_(flat.view(output.sizes()));
}

bool each_floating(Moment& moment, const std::function<bool(const at::Tensor&)>& change) {
    bool done = false;
    for (const Output& output : moment.outputs) {
        if (is_floating(output.now)) done |= change(output.now);
    }
    return done;
}

at::Tensor truncated(const at::Tensor& values, std::int64_t bits) {
    if (bits >= 23) return values;
    const auto mask = static_cast<std::int64_t>(-(std::int64_t{1} << (23 - bits)));
    return values.contiguous().view(at::kInt).bitwise_and(mask).view(at::kFloat);
}

at::Tensor rounded(const at::Tensor& values, std::string_view dtype, std::int64_t bits) {
    if (bits <= 0) return values.to(dtype_of(dtype)).to(values.scalar_type());
    const at::Tensor wide = values.to(at::kDouble);
    const at::Tensor unit =
        wide.abs().log2().floor().sub(static_cast<double>(bits)).exp2().clamp_min(1e-300);
    const at::Tensor result = wide.div(unit).round().mul(unit);
    return at::where(at::isfinite(wide).logical_and(wide.ne(0.0)), result, wide)
        .to(values.scalar_type());
}

std::pair<std::int64_t, std::int64_t> part_of(const Moment& moment, std::int64_t elements) {
    const std::string& part = moment.does.word("part");
    std::int64_t count = moment.does.whole("elements");
    if (count == 0) {
        count = static_cast<std::int64_t>(
            std::ceil(moment.does.number("share") * static_cast<double>(elements)));
    }
    count = std::min(count, elements);
    if (part == "head") return {0, count};
    if (part == "tail") return {elements - count, elements};
    if (part == "block") {
        const auto begin = static_cast<std::int64_t>(
            moment.random.below(static_cast<std::uint64_t>(elements - count + 1)));
        return {begin, begin + count};
    }
    return {0, elements};
}

std::span<const Action> value_actions() {
    return kActions;
}

}  // namespace ascertain::simulated::defects
