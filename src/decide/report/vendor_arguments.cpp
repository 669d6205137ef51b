#include "decide/report/vendor_arguments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "decide/report/numbers.hpp"

namespace ascertain::report {
namespace {

struct Helper {
    std::string_view name;
    std::string_view definition;
};

// Values of one family, flat, in fp64 or int64, drawn from torch's own generator.
constexpr std::array kHelpers{
    Helper{"normal",
           "def normal(n, mean, std, low, high, share=1.0): return (torch.randn(n, "
           "dtype=torch.double) * std + mean)"
           ".clamp(low, high) * (torch.rand(n) <= share)"},
    Helper{"uniform",
           "def uniform(n, low, high, share=1.0): return (torch.rand(n, dtype=torch.double) * "
           "(high - low) + low) * "
           "(torch.rand(n) <= share)"},
    Helper{"positive",
           "def positive(n, mean, low, high, share=1.0): return (torch.empty(n, "
           "dtype=torch.double).exponential_() * "
           "(mean - low) + low).clamp(max=high) * (torch.rand(n) <= share)"},
    Helper{"whole", "def whole(n, low, high): return torch.randint(low, high + 1, (n,))"},
    Helper{"pointing",
           "def pointing(n, low, high, none, share): return torch.where(torch.rand(n) < share, "
           "torch.randint(low, "
           "high + 1, (n,)), none)"},
    Helper{
        "distinct",
        "def distinct(n, columns, low, high): return low + torch.rand(n // columns, high + 1 - low)"
        ".argsort(-1)[:, :columns].flatten()"},
    Helper{"probability",
           "def probability(n, columns, spread): return torch.softmax(torch.randn(n // columns, "
           "columns, "
           "dtype=torch.double) * spread, -1).flatten()"},
    Helper{"mask",
           "def mask(n, share, hidden, shown): return torch.where(torch.rand(n) < share, hidden, "
           "shown)"},
    Helper{"rising",
           "def rising(n, low, high, unit, last): return torch.cat([torch.randint(-(-low // unit), "
           "high // unit + 1, "
           "(n - len(last),)).mul(unit).sort()[0], torch.tensor(last, dtype=torch.long)])"},
};

class Writer {
public:
    std::optional<std::string> argument(const Json& object) {
        if (!object.is_object() || object.size() != 1) return std::nullopt;
        const std::string key = object.begin().key();
        const Json& value = object.begin().value();
        if (key == "none" || key == "generator") return "None";
        if (key == "device") return "WHERE";
        if (key == "tensor") return tensor(value);
        if (key == "tensors") return tensors(value);
        if (key == "scalar") return scalar(value);
        if (key == "dtype") return dtype(text(value));
        if (key == "text" && value.is_string()) return "\"" + value.get<std::string>() + "\"";
        if (key != "integers" && key != "floats") return std::nullopt;
        return list(value);
    }

    [[nodiscard]] std::vector<std::string> helpers() const {
        std::vector<std::string> lines;
        for (const Helper& helper : kHelpers) {
            if (std::ranges::find(used_, helper.name) != used_.end())
                lines.emplace_back(helper.definition);
        }
        return lines;
    }

private:
    static std::optional<std::string> scalar(const Json& value) {
        if (value.is_boolean()) return value.get<bool>() ? "True" : "False";
        if (value.is_string()) return fmt::format("float(\"{}\")", value.get<std::string>());
        if (value.is_number_integer()) return value.dump();
        if (value.is_number()) return exact(value.get<double>());
        return std::nullopt;
    }

    static std::optional<std::string> list(const Json& values) {
        if (!values.is_array()) return std::nullopt;
        std::string all;
        for (const Json& value : values) {
            const auto one = scalar(value);
            if (!one) return std::nullopt;
            all += fmt::format("{}{}", all.empty() ? "" : ", ", *one);
        }
        return fmt::format("[{}]", all);
    }

    static std::optional<std::string> dtype(const std::string& name) {
        const std::string known = torch_dtype(name);
        if (known.empty()) return std::nullopt;
        const bool real = name.starts_with("fp") || name == "bf16";
        return real ? fmt::format("torch.double if WIDE else {}", known) : known;
    }

    std::optional<std::string> tensors(const Json& values) {
        if (!values.is_array()) return std::nullopt;
        std::string all;
        for (const Json& value : values) {
            const auto one = value.is_null() ? std::optional<std::string>("None") : tensor(value);
            if (!one) return std::nullopt;
            all += fmt::format("{}{}", all.empty() ? "" : ", ", *one);
        }
        return fmt::format("[{}]", all);
    }

    std::optional<std::string> tensor(const Json& spec) {
        const auto shape = numbers(member(spec, "shape"));
        const auto strides = numbers(member(spec, "strides"));
        const std::string type = torch_dtype(text(member(spec, "dtype")));
        if (shape.size() != strides.size() || type.empty()) return std::nullopt;
        // Along a stride of 0 there is one element.
        double count = 1.0;
        double columns = 1.0;
        std::string sizes;
        std::string steps;
        for (std::size_t i = 0; i < shape.size(); ++i) {
            if (!shape[i] || !strides[i]) return std::nullopt;
            columns = *strides[i] == 0.0 ? 1.0 : *shape[i];
            count *= columns;
            sizes += fmt::format("{:.0f}, ", *shape[i]);
            steps += fmt::format("{:.0f}, ", *strides[i]);
        }
        const auto drawn = values(member(spec, "fill"), count, std::max(1.0, columns), type);
        if (!drawn) return std::nullopt;
        return fmt::format("t({}, {}, [{}], [{}])", *drawn, type,
                           sizes.substr(0, sizes.size() - std::min<std::size_t>(2, sizes.size())),
                           steps.substr(0, steps.size() - std::min<std::size_t>(2, steps.size())));
    }

    std::string use(std::string_view helper, std::string arguments) {
        if (std::ranges::find(used_, helper) == used_.end()) used_.push_back(helper);
        return fmt::format("{}({})", helper, std::move(arguments));
    }

    std::optional<std::string> values(const Json& fill, double count, double columns,
                                      const std::string& type) {
        const std::string family = text(member(fill, "family"));
        const auto at = [&](const char* key) { return number(member(fill, key)).value_or(0.0); };
        const double mean = at("mean"), std_ = at("std"), low = at("low"), high = at("high");
        const double share = number(member(fill, "share")).value_or(1.0);
        const std::string some = share < 1.0 ? fmt::format(", {:.4g}", share) : "";
        const auto n = fmt::format("{:.0f}", count);
        if (family == "constant" || count == 0.0)
            return fmt::format("torch.full(({},), {})", n, exact(mean));
        if (family == "normal" || (family == "positive" && std_ < 0.5 * mean)) {
            return use("normal", fmt::format("{}, {:.4g}, {:.4g}, {:.4g}, {:.4g}{}", n, mean, std_,
                                             low, high, some));
        }
        if (family == "uniform")
            return use("uniform", fmt::format("{}, {:.4g}, {:.4g}{}", n, low, high, some));
        if (family == "positive") {
            return use("positive",
                       fmt::format("{}, {:.4g}, {:.4g}, {:.4g}{}", n, mean, low, high, some));
        }
        if (family == "mask") {
            const bool real = type != "torch.bool";
            return use("mask", fmt::format("{}, {:.4g}, {}", n, share,
                                           real ? "float(\"-inf\"), 0.0" : "True, False"));
        }
        return structured(fill, family, count, columns);
    }

    std::optional<std::string> structured(const Json& fill, const std::string& family, double count,
                                          double columns) {
        const auto at = [&](const char* key) { return number(member(fill, key)).value_or(0.0); };
        const double low = at("low"), high = at("high");
        const auto n = fmt::format("{:.0f}", count);
        const auto sentinel = number(member(fill, "sentinel"));
        if (family == "index" && member(fill, "distinct") == Json(true)) {
            return use("distinct",
                       fmt::format("{}, {:.0f}, {:.0f}, {:.0f}", n, columns, low, high));
        }
        if (family == "index" && sentinel) {
            return use("pointing", fmt::format("{}, {:.0f}, {:.0f}, {:.0f}, {:.4g}", n, low, high,
                                               *sentinel, at("share")));
        }
        if (family == "integers" || family == "index")
            return use("whole", fmt::format("{}, {:.0f}, {:.0f}", n, low, high));
        if (family == "permutation")
            return use("distinct", fmt::format("{}, {:.0f}, 0, {:.0f}", n, columns, columns - 1));
        if (family == "probability") {
            // Log-normal weights with the spread that was seen, as the worker draws them.
            const double ratio = at("mean") > 0.0 ? std::min(at("std") / at("mean"), 1e3) : 0.0;
            return use("probability", fmt::format("{}, {:.0f}, {:.4g}", n, columns,
                                                  std::sqrt(std::log1p(ratio * ratio))));
        }
        if (family != "offsets" && family != "sorted") return std::nullopt;
        const double unit = number(member(fill, "multiple")).value_or(1.0);
        const std::string last = family == "offsets" ? fmt::format("[{:.0f}]", high) : "[]";
        return use("rising",
                   fmt::format("{}, {:.0f}, {:.0f}, {:.0f}, {}", n, low, high, unit, last));
    }

    std::vector<std::string_view> used_;
};

}  // namespace

std::string torch_dtype(std::string_view name) {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kReal{
        {{"fp64", "float64"},
         {"fp32", "float32"},
         {"fp16", "float16"},
         {"bf16", "bfloat16"},
         {"fp8_e4m3", "float8_e4m3fn"},
         {"fp8_e5m2", "float8_e5m2"}}};
    static constexpr std::array<std::string_view, 6> kWhole{"int64", "int32", "int16",
                                                            "int8",  "uint8", "bool"};
    for (const auto& [ours, theirs] : kReal) {
        if (ours == name) return fmt::format("torch.{}", theirs);
    }
    return std::ranges::find(kWhole, name) != kWhole.end() ? fmt::format("torch.{}", name) : "";
}

std::optional<PythonArguments> python_arguments(const Json& operator_case) {
    const Json& arguments = member(operator_case, "arguments");
    if (!arguments.is_array()) return std::nullopt;
    Writer writer;
    PythonArguments result;
    for (const Json& argument : arguments) {
        auto one = writer.argument(argument);
        if (!one) return std::nullopt;
        result.expressions.push_back(*std::move(one));
    }
    result.helpers = writer.helpers();
    return result;
}

}  // namespace ascertain::report
