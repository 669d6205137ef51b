#include "decide/report/vendor_script.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>

#include "base/device_name.hpp"
#include "base/text.hpp"
#include "decide/report/asked.hpp"
#include "decide/report/escape.hpp"
#include "decide/report/material.hpp"
#include "decide/report/numbers.hpp"
#include "decide/report/vendor_arguments.hpp"

namespace ascertain::report {
namespace {

using judge::CheckVerdict;

constexpr std::size_t kColumns = 150;  // of the lines that hold arguments
constexpr std::size_t kNoLimit = std::size_t{1} << 30;
constexpr int kRepeats = 10;

// What a Python program imports before torch knows the device; nothing for torch's own.
struct Package {
    std::string_view type;
    std::string_view import;
};
constexpr std::array kPackages{Package{"npu", "torch_npu"},
                               Package{"simulated", "torch_simulated"},
                               Package{"mlu", "torch_mlu"},
                               Package{"musa", "torch_musa"},
                               Package{"hpu", "habana_frameworks.torch.core"},
                               Package{"gcu", "torch_gcu"}};

// Operators that may round inside, or add in the output's dtype: judged beside the CPU's own error.
constexpr std::array<std::string_view, 10> kRoundsInside{
    "attention", "scatter",       "index_add", "index_put", "embedding",
    "nll_loss",  "cross_entropy", "mean",      "cumsum",    "index_reduce"};
// Operators whose whole outputs are places, where equal values may stand in any order.
constexpr std::array<std::string_view, 6> kPlaces{"topk", "sort", "argmax", "argmin", "max", "min"};

template <typename List>
bool any_in(const List& words, std::string_view name) {
    return std::ranges::any_of(
        words, [&](std::string_view word) { return name.find(word) != std::string_view::npos; });
}

std::string_view type_of(const std::string& device) {
    const std::string_view local = local_part(device);
    return local.substr(0, local.find(':'));
}

// Comment lines must stay comments, whatever a device's message holds.
std::string comment(std::string_view words) {
    std::string line = shortened(words, 200);
    for (char& letter : line) {
        if (static_cast<unsigned char>(letter) < ' ') letter = ' ';
    }
    return "# " + line + "\n";
}

std::string opening(const CheckVerdict& check, std::string_view what) {
    std::string text = comment(fmt::format(
        "{} {} on {}: {}", check.id, judge::name_of(check.status), check.device, check.reason));
    text += comment(what);
    text += "# Usage: python3 SCRIPT [DEVICE]; exit code 0: right, 1: wrong.\nimport sys, torch\n";
    const std::string_view type = type_of(check.device);
    for (const Package& package : kPackages) {
        if (package.type == type)
            text += fmt::format("import {}  # the vendor's package\n", package.import);
    }
    // On the node itself the device is called without the node's name.
    return text + fmt::format("DEVICE = sys.argv[1] if len(sys.argv) > 1 else \"{}\"\n",
                              local_part(check.device));
}

// Expressions side by side as long as a line has room.
std::string packed(const std::vector<std::string>& expressions, std::size_t columns) {
    std::string text;
    std::string line;
    for (const std::string& one : expressions) {
        if (!line.empty() && line.size() + one.size() > columns) {
            text += "         " + line + "\n";
            line.clear();
        }
        line += (line.empty() ? "" : " ") + one + ",";
    }
    return text + "         " + line + "\n";
}

constexpr std::string_view kTensor =
    "def t(x, dtype, shape, strides):  # on the device, laid out as in the failing call\n"
    "    x, real = x.to(dtype), [n if s else 1 for n, s in zip(shape, strides)]\n"
    "    x = x.double() if WIDE and dtype.is_floating_point else x\n"
    "    return torch.empty_strided(real, strides, dtype=x.dtype, "
    "device=WHERE).copy_(x.view(real)).expand(shape)\n";

constexpr std::string_view kRun =
    "def run(where, wide=False):  # what the call returns and writes, brought to the CPU\n"
    "    global WHERE, WIDE\n"
    "    WHERE, WIDE, s, _ = where, wide, OP._schema.arguments, torch.manual_seed({seed})\n"
    "    a = [\n{arguments}    ]\n"
    "    r = OP(*[x for x, i in zip(a, s) if not i.kwarg_only], **{{i.name: x for x, i in zip(a, "
    "s) "
    "if i.kwarg_only}})\n"
    "    r = [r, *[x for x, i in zip(a, s) if i.alias_info and i.alias_info.is_write]]\n"
    "    return [x.cpu() for x in torch.utils._pytree.tree_leaves(r) if isinstance(x, "
    "torch.Tensor)]\n";

// Three bounds that any legal arithmetic meets: docs/formulas.md#vendor-script.
constexpr std::string_view kCompare =
    "try: want = run(\"cpu\", True)  # fp64\n"
    "except RuntimeError: want = run(\"cpu\")\n"
    "wrong, rms = [], lambda x: x.square().mean().sqrt().item()\n"
    "for g, c, w in zip(run(DEVICE), run(\"cpu\"), want):\n"
    "    if not g.is_floating_point(): wrong += [{places}(g != c).sum().item()]; continue\n"
    "    g, c, w, ideal, eps = g.double(), c.double(), w.double(), w.to(g.dtype).double(), "
    "torch.finfo(g.dtype).eps\n"
    "    ok = ideal.isfinite(); wrong += [(g.isfinite() != ok).sum().item()]\n"
    "    g, c, w, ideal = g[ok], c[ok], w[ok], ideal[ok]\n"
    "    if not g.numel(): continue\n"
    "    allowed = 2 * eps * w.abs() + 2.0**-18 * w.abs().max(){inside}\n"
    "    legal = max(rms(c - w), rms(ideal - w), 2.0**-24 * rms(w))\n"
    "    share = lambda x: (x != ideal).double().mean().item() if {bulk} else 0.0\n"
    "    wrong += [((g - w).abs() > allowed).sum().item(), rms(g - w) > (64 if eps < 1e-4 else 5) "
    "* "
    "legal, share(g) > max(0.005, 3 * share(c))]\n"
    "    print(f\"error rms {{rms(g - w):.3g}} (legal {{legal:.3g}}), not correctly rounded "
    "{{share(g):.2%}}\")\n";

constexpr std::string_view kRepeat =
    "same = lambda x, y: torch.equal(x.contiguous().view(torch.uint8), "
    "y.contiguous().view(torch.uint8))\n"
    "first = run(DEVICE)\n"
    "wrong = [sum(not same(x, y) for x, y in zip(first, run(DEVICE))) for _ in "
    "range({repeats})]\n";

constexpr std::string_view kEnd =
    "print(\"FAIL\" if any(wrong) else \"PASS\", wrong)\n"
    "sys.exit(1 if any(wrong) else 0)\n";

std::string label_of(const Json& operator_case) {
    std::string label = text(member(operator_case, "operator"));
    for (const Json& argument : member(operator_case, "arguments")) {
        const Json& tensor = member(argument, "tensor");
        if (tensor.is_object())
            label +=
                fmt::format(" {}{}", text(member(tensor, "dtype")), member(tensor, "shape").dump());
    }
    return label;
}

bool is_name(std::string_view name) {
    return !name.empty() && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_';
    });
}

std::size_t lines_of(std::string_view text) {
    return static_cast<std::size_t>(std::ranges::count(text, '\n'));
}

std::string operator_script(const CheckVerdict& check, const Json& operator_case,
                            std::uint64_t seed, std::size_t columns) {
    const auto arguments = python_arguments(operator_case);
    const std::string full = text(member(operator_case, "operator"));
    const std::string overload = text(member(operator_case, "overload"));
    const auto colons = full.find("::");
    if (!arguments || colons == std::string::npos) return {};
    const std::string space = full.substr(0, colons);
    const std::string name = full.substr(colons + 2);
    if (!is_name(space) || !is_name(name) || !(overload.empty() || is_name(overload))) return {};
    std::string script = opening(
        check, label_of(operator_case) + "; inputs of the same shapes, layouts and statistics");
    script += fmt::format("OP = torch.ops.{}.{}.{}\n", space, name,
                          overload.empty() ? "default" : overload);
    for (const std::string& helper : arguments->helpers) script += helper + "\n";
    script += kTensor;
    script += fmt::format(fmt::runtime(kRun), fmt::arg("seed", seed),
                          fmt::arg("arguments", packed(arguments->expressions, columns)));
    if (split(check.id).what == "repeat") {
        script += fmt::format(fmt::runtime(kRepeat), fmt::arg("repeats", kRepeats));
    } else {
        const bool inside = any_in(kRoundsInside, name);
        script += fmt::format(
            fmt::runtime(kCompare), fmt::arg("places", any_in(kPlaces, name) ? "0 * " : ""),
            fmt::arg("inside", inside ? " + 4 * (c - w).abs().max()" : ""),
            fmt::arg("bulk", inside ? "False" : "eps > 1e-4 and x.numel() >= 4096"));
    }
    return script + std::string(kEnd);
}

std::string coverage_script(const CheckVerdict& check, const Json& detail) {
    std::vector<std::string> names;
    const auto add = [&](const Json& entry) {
        const std::string name = text(member(entry, "name"));
        const std::string overload = text(member(entry, "overload"));
        const std::string full = (name.find("::") == std::string::npos ? "aten::" : "") + name;
        names.push_back(fmt::format("\"{}{}{}\"", full, overload.empty() ? "" : ".", overload));
    };
    for (const Json& entry : member(detail, "missing")) add(entry);
    for (const Json& entry : member(detail, "operators")) {
        const std::string support = text(member(entry, "support"));
        if ((support == "fallback" || support == "missing") &&
            member(entry, "compute") != Json(false))
            add(entry);
    }
    if (names.empty()) return {};
    std::ranges::sort(names);
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return opening(check,
                   "Operators of the training step that have no kernel of the device's own") +
           "NAMES = [\n" + packed(names, kColumns) + "]\n" +
           "KEY = {\"cuda\": \"CUDA\", \"xpu\": \"XPU\", \"hpu\": \"HPU\", \"cpu\": "
           "\"CPU\"}.get(DEVICE.split(\":\")[0], "
           "\"PrivateUse1\")\n"
           "has = torch._C._dispatch_has_kernel_for_dispatch_key\n"
           "wrong = [n for n in NAMES if not any(has(n, k) for k in (KEY, "
           "\"CompositeImplicitAutograd\", "
           "\"CompositeExplicitAutograd\"))]\n" +
           std::string(kEnd);
}

// The call of a battery's first failed question that the question is named after, else its last.
const Json& call_of_battery(const Json& detail) {
    const Json& calls = member(detail, "calls");
    if (!calls.is_array() || calls.empty()) return calls;
    const Json& failures = member(detail, "failures");
    const std::string question =
        failures.is_array() && !failures.empty() ? text(member(failures[0], "question")) : "";
    for (const Json& call : calls) {
        const std::string full = text(member(call, "operator"));
        const std::string name = full.substr(full.rfind(':') + 1);
        if (!name.empty() && question.starts_with(name)) return call;
    }
    return calls.back();
}

std::string script_for(const Material& material, const CheckVerdict& check) {
    std::string found;
    for (const RecordedAttempt& recorded : material.attempts) {
        const evidence::Attempt& attempt = recorded.attempt;
        const bool asked =
            attempt.role == evidence::Role::kMeasure || attempt.role == evidence::Role::kConfirm;
        if (!asked || attempt.check != check.id || attempt.device != check.device) continue;
        const bool battery = check.id.starts_with("ops.battery.");
        const Json& operator_case =
            battery ? call_of_battery(attempt.detail) : member(attempt.detail, "case");
        if (operator_case.is_object()) {
            found = operator_script(check, operator_case, attempt.seed, kColumns);
            if (lines_of(found) > kVendorScriptLinesMax)
                found = operator_script(check, operator_case, attempt.seed, kNoLimit);
        } else if (check.id == "ops.coverage") {
            found = coverage_script(check, attempt.detail);
        }
        if (!found.empty()) break;
    }
    return lines_of(found) <= kVendorScriptLinesMax ? found : std::string();
}

}  // namespace

std::vector<VendorScript> vendor_scripts(const Material& material) {
    std::vector<VendorScript> scripts;
    std::map<std::string, int> seen;
    for (const CheckVerdict& check : material.verdict().checks) {
        if (check.weight != judge::Weight::kFail) continue;
        std::string text = script_for(material, check);
        if (text.empty()) continue;
        std::string name = check.id;
        if (seen[check.id]++ > 0) name += "-" + check.device;
        std::ranges::replace_if(
            name, [](char c) { return c == '/' || c == ':' || c == ' '; }, '-');
        scripts.push_back({check.id, check.device, "vendor/" + name + ".py", std::move(text)});
    }
    return scripts;
}

std::vector<VendorScript> vendor_scripts(const ReportInput& input) {
    return vendor_scripts(gather(input));
}

}  // namespace ascertain::report
