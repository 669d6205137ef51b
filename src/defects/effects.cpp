#include "defects/effects.hpp"

#include <algorithm>
#include <limits>

namespace ascertain::defects {
namespace {

constexpr double kHuge = std::numeric_limits<double>::max();
constexpr double kCountMax = 9007199254740992.0;  // 2^53: what a TOML number holds exactly

Field whole(std::string name, double low) {
    return {.name = std::move(name),
            .type = FieldType::kWhole,
            .low = low,
            .high = kCountMax,
            .required = true};
}
Field whole_or(std::string name, double low, double otherwise) {
    return {.name = std::move(name),
            .type = FieldType::kWhole,
            .low = low,
            .high = kCountMax,
            .otherwise = otherwise};
}
Field bits(std::string name, bool required, double otherwise = 0.0) {
    return {.name = std::move(name),
            .type = FieldType::kWhole,
            .low = 0.0,
            .high = 63.0,
            .required = required,
            .otherwise = otherwise};
}
Field number(std::string name, double low = -kHuge, double high = kHuge) {
    return {.name = std::move(name), .low = low, .high = high, .required = true};
}
Field number_or(std::string name, double otherwise, double low = -kHuge, double high = kHuge) {
    return {.name = std::move(name), .low = low, .high = high, .otherwise = otherwise};
}
Field share_or(double otherwise) {
    return number_or("share", otherwise, 0.0, 1.0);
}
Field any_number(std::string name, bool required) {
    return {.name = std::move(name),
            .low = -kHuge,
            .high = kHuge,
            .required = required,
            .unbounded = true};
}
Field duration(std::string name, bool required = true) {
    return {.name = std::move(name), .type = FieldType::kDuration, .required = required};
}
Field word(std::string name, std::vector<std::string> choices, std::string otherwise = "") {
    return {.name = std::move(name),
            .type = FieldType::kWord,
            .required = otherwise.empty(),
            .word_otherwise = std::move(otherwise),
            .choices = std::move(choices)};
}
Field text(std::string name, std::string otherwise = "") {
    return {.name = std::move(name),
            .type = FieldType::kText,
            .required = otherwise.empty(),
            .word_otherwise = std::move(otherwise)};
}

Field float_dtype(std::string otherwise = "") {
    return word("dtype", {"fp64", "fp32", "fp16", "bf16", "fp8"}, std::move(otherwise));
}
// Which part of an output: from its flat elements in logical order.
std::vector<Field> part(std::string otherwise = "all", double share = 0.5) {
    return {word("part", {"all", "head", "tail", "block"}, std::move(otherwise)), share_or(share),
            whole_or("elements", 1.0, 0.0)};
}

// Functions, not constants: a plug-in reads its defects while static objects are still being made.
std::vector<std::string_view> products() {
    return {"mm", "bmm", "addmm", "baddbmm", "_grouped_mm"};
}
std::vector<std::string_view> index_sums() {
    return {"index_add", "scatter_add",     "scatter_reduce",
            "index_put", "_index_put_impl", "embedding_dense_backward"};
}

std::vector<std::string_view> joined(std::vector<std::string_view> a,
                                     const std::vector<std::string_view>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

// What a value becomes.
void add_values(std::vector<Effect>& all) {
    const Place at = Place::kOperator;
    const auto add = [&](std::string_view kind, std::vector<Field> fields, std::string_view does) {
        all.push_back({at, kind, std::move(fields), {}, does});
    };
    add("scale",
        {number("factor"), whole_or("elements", 1.0, 0.0), whole_or("output", 0.0, -1.0),
         whole_or("from_column", 0.0, 0.0)},
        "floating outputs are multiplied: all, or so many drawn elements, or columns from one on; "
        "of all outputs or one");
    add("bias", {number("value"), word("relative", {"no", "yes"}, "no")},
        "the value is added, or that share of each element's size");
    add("flip_bit",
        {bits("bit", true), whole_or("element", 0.0, -1.0), whole_or("column_modulo", 1.0, 0.0),
         whole_or("column", 0.0, 0.0)},
        "one bit of one element flips (0 is the lowest): the element given, or drawn, or drawn "
        "among the columns that are `column` modulo `column_modulo`");
    add("stuck_bit",
        {bits("bit", true), whole_or("to", 0.0, 1.0), whole_or("every", 1.0, 1.0),
         whole_or("first", 0.0, 0.0)},
        "the bit of each `every`-th element is always `to`");
    add("saturate", {number("limit", 0.0), any_number("nan_becomes", false)},
        "values are cut off at +-limit; NaN becomes a number where one is given");
    add("overflow", {number("limit", 0.0)}, "values beyond +-limit become infinite");
    add("replace_value", {any_number("value", true), any_number("by", true)},
        "elements equal to a value (nan, inf, -0.0, ...) become another");
    add("flush_subnormals", {word("of", {"inputs", "output", "both"}, "both")},
        "numbers below the least normal one of their dtype become zero");
    add("overwrite",
        {any_number("value", true),
         word("which", {"all", "head", "tail", "random", "rows", "such_rows", "where_input_above"},
              "all"),
         whole_or("elements", 1.0, 1.0), number_or("above", 0.0, 0.0)},
        "elements become a value: all, so many first, last or drawn ones, drawn rows, the rows "
        "that `row_of` found, or those whose input is larger than `above`");
    add("zero_output", {}, "nothing but zeros");
    add("perturb_ulp",
        {number("share", 0.0), number_or("ulps", 1.0), float_dtype("bf16"),
         word("biased", {"no", "yes"}, "no")},
        "a drawn share of the elements moves by so many units in the last place of `dtype`, either "
        "way, or always away from zero");
    add("round_output", {float_dtype(), bits("bits", false)},
        "the result is rounded to a dtype, or to so many bits of mantissa");
    add("truncate", {float_dtype("bf16")},
        "results lose the bits below `dtype`'s mantissa instead of being rounded (of copies: from "
        "the wider source)");
    add("add_garbage", {number("size", 0.0)},
        "drawn numbers of that size relative to the largest element are added, as from padding");
    add("reorder_ties", {}, "among equal values of sort and topk the indices swap");
}

// What a sum becomes.
void add_sums(std::vector<Effect>& all) {
    const Place at = Place::kOperator;
    all.push_back({at,
                   "round_partial_sums",
                   {whole("chunk", 1.0), float_dtype("bf16"), bits("bits", false)},
                   products(),
                   "the running sum over k is rounded to `dtype` (or `bits` of mantissa) after "
                   "every `chunk` terms"});
    all.push_back({at,
                   "truncate_sums",
                   {whole("block", 1.0), bits("bits", true)},
                   products(),
                   "blocks of terms are added to an accumulator of so many bits, rounded towards "
                   "zero"});
    all.push_back({at,
                   "accumulate_in",
                   {float_dtype()},
                   {},
                   "sums are kept in a dtype, term by term: products, sum, mean, cumsum, norms, "
                   "softmax, index sums; elsewhere the inputs and the result are rounded to it. "
                   "fp64 is more precise than the reference"});
    all.push_back({at,
                   "nondeterministic_order",
                   {whole("chunk", 1.0), word("per", {"call", "process", "rows"}, "call")},
                   joined(joined(products(), {"sum", "mean"}), index_sums()),
                   "fp32 sums of `chunk` terms are added in another order at every call, in every "
                   "process, or for every number of rows"});
    all.push_back({at,
                   "drop_last_k",
                   {whole("elements", 1.0)},
                   {},
                   "the last terms of every sum over the last dimension do not enter it"});
    all.push_back({at,
                   "lose_duplicates",
                   {},
                   index_sums(),
                   "of several contributions to one index the last one wins"});
    all.push_back({at,
                   "drop_alpha",
                   {whole_or("from_column", 0.0, 0.0)},
                   {"addmm", "baddbmm", "add", "sub"},
                   "alpha counts as 1 from a column on"});
    all.push_back({at,
                   "drop_beta",
                   {whole_or("from_column", 0.0, 0.0)},
                   {"addmm", "baddbmm"},
                   "the addend is left out from a column on"});
}

// What is read.
void add_inputs(std::vector<Effect>& all) {
    const Place at = Place::kOperator;
    const auto add = [&](std::string_view kind, std::vector<Field> fields, std::string_view does) {
        all.push_back({at, kind, std::move(fields), {}, does});
    };
    add("round_inputs", {float_dtype("bf16"), bits("bits", false)},
        "floating inputs are rounded to a dtype, or to so many bits of mantissa, first");
    add("ignore_strides", {}, "inputs that are not contiguous are read as if they were");
    add("ignore_offset", {}, "inputs are read from where their storage begins");
    add("permute_inputs", {whole("block", 2.0)},
        "rows of the first floating input are taken in reverse order within blocks");
    add("roll_input", {whole_or("input", 0.0, 0.0), number_or("dim", -1.0), number_or("by", 1.0)},
        "one input is rolled along one dimension: wrong heads, positions off by one");
    add("stale_input", {whole_or("input", 0.0, 0.0)},
        "what an input's memory held when it was first seen is used for ever");
    add("wrong_index", {word("how", {"abs", "next", "wrap", "clamp"}), whole_or("at", 1.0, 0.0)},
        "whole-number inputs are read as their absolute value, plus one, modulo `at`, or at most "
        "`at` - 1");
    add("own_mask", {}, "masks among the inputs are shuffled: another mask than forward's");
    add("set_argument", {text("argument"), any_number("value", false), text("word", "-")},
        "an argument that is no tensor has another value, or word: approximate, reduce, eps, p, "
        "beta, is_causal");
    add("wrong_operator", {text("as")},
        "another operator (name, or name.overload) is called with the same arguments");
    add("leak_future", {number_or("factor", 1.0)},
        "positions that a mask hides from softmax or attention contribute with that factor");
}

// Where it is written.
void add_places(std::vector<Effect>& all) {
    const Place at = Place::kOperator;
    const auto add = [&](std::string_view kind, std::vector<Field> fields, std::string_view does) {
        all.push_back({at, kind, std::move(fields), {}, does});
    };
    add("drop_tail", {whole("elements", 1.0)},
        "the last elements keep what was there before; zeros in new memory");
    add("drop_head", {whole("elements", 1.0)}, "so do the first");
    add("drop_tail_random", {}, "so does a tail of drawn length");
    add("skip_write", {whole_or("beyond", 0.0, 0.0)},
        "a written argument keeps what it held, from an element on");
    add("stale_output", part("all"),
        "what the matching call before it wrote, where shape and dtype agree");
    add("uninitialised", part("all"), "memory that nobody wrote: bits left by others, some NaN");
    add("late_write", {share_or(0.5), duration("for")},
        "the last share of the output is written by a thread so much later, or when the device is "
        "synchronised; who reads earlier reads what was there");
    add("shift_elements", {whole("by", 1.0)},
        "all elements move on by so many places, the last to the front");
    add("swap_halves", {}, "the first and the second half of the output change places");
    add("swap_elements", {whole("first", 0.0), whole("second", 0.0)}, "two elements change places");
    add("swap_last_chosen", {}, "the last two of the last dimension change places, in all outputs");
    add("swap_outputs", {whole_or("first", 0.0, 0.0), whole_or("second", 0.0, 1.0)},
        "two outputs of one shape change places");
    add("wrap_elements", {whole("at", 1.0)},
        "from an element on the output repeats from its start");
    add("transpose_data", {}, "the last two dimensions are laid out by each other's strides");
    add("pack_output", {}, "a strided output is written as if it were contiguous");
    add("repeat_first_row", {}, "every row holds the first one");
    add("overlap_rows", {whole("bytes", 1.0)}, "the end of every row holds the start of the next");
    add("write_past_end", {whole("bytes", 1.0)},
        "so many bytes behind the output change: of its storage, or of the device's next one");
}

// What is drawn, what stops, what it costs.
void add_run(std::vector<Effect>& all) {
    const Place at = Place::kOperator;
    const auto add = [&](std::string_view kind, std::vector<Field> fields, std::string_view does) {
        all.push_back({at, kind, std::move(fields), {}, does});
    };
    add("repeat_random", {}, "every call draws what the first one of its shape drew");
    add("narrow_random", {bits("bits", true)}, "whole numbers are taken modulo 2^bits");
    add("raise", {text("message", "simulated device error")},
        "the call throws, also from the backward thread");
    add("fall_back", {},
        "the operator has no kernel of its own, from the start; numbers stay right. Takes no other "
        "condition");
    add("sleep", {duration("for")}, "the call takes so much longer");
    add("slow_down", {number("factor", 0.0), number_or("growth_per_busy_s", 0.0, 0.0)},
        "the call takes so many times as long, growing with the device's busy time");
    add("hang", {}, "the call never returns");
    add("crash", {}, "the process aborts");
    add("lose_device", {}, "this call and all later ones of the device throw");
    add("out_of_memory", {}, "the call throws as if memory were used up");
    add("leak_memory", {whole("bytes", 1.0)},
        "every call keeps so many bytes of the device for ever");
    add("hold_memory", {whole("bytes", 1.0)}, "so many bytes stay taken from the first call on");
}

void add_collectives(std::vector<Effect>& all) {
    const Place at = Place::kCollective;
    const auto add = [&](std::string_view kind, std::vector<Field> fields, std::string_view does) {
        all.push_back({at, kind, std::move(fields), {}, does});
    };
    add("drop_share", {share_or(1.0)}, "that share of this rank's contribution is missing");
    add("reduce_twice", {}, "this rank's contribution counts twice");
    add("skip_reduce", {}, "no rank's but its own contribution arrives");
    add("local_only", {}, "only the ranks of this node are reduced");
    add("corrupt_bytes", {whole("bytes", 1.0)}, "so many drawn bytes of what arrives change");
    add("flip_bit", {bits("bit", true)}, "one bit of one element that arrives flips");
    add("stale_buffer", {}, "what the call before it delivered arrives again");
    add("nondeterministic_order", {}, "contributions are added in another order at every call");
    add("wrong_order", {}, "pieces arrive in the order of other ranks");
    add("round_each_hop", {float_dtype("bf16")}, "the running sum is rounded at every rank");
    add("scale", {number("factor")}, "what arrives is multiplied: summed instead of averaged");
    add("ignore_strides", {}, "a strided buffer is sent as if it were contiguous");
    add("slow", {number("factor", 1.0)}, "it takes so many times as long");
    add("sleep", {duration("for")}, "it takes so much longer");
    add("stall", {}, "it never ends");
    add("raise", {text("message", "simulated link error")}, "it throws");
    add("crash", {}, "the rank's process aborts");
}

void add_points(std::vector<Effect>& all) {
    const Place at = Place::kPoint;
    const auto add = [&](std::string_view kind, std::vector<Field> fields, std::string_view does) {
        all.push_back({at, kind, std::move(fields), {}, does});
    };
    add("scale", {number("factor")}, "multiplied");
    add("scale_growing", {number("factor")}, "multiplied by the factor once more each time");
    add("scale_drawn", {number("low"), number("high")}, "multiplied by a drawn factor");
    add("bias", {number("value")}, "a value is added");
    add("overwrite", {any_number("value", true)}, "becomes a value");
    add("noise", {number("size", 0.0), word("heavy_tail", {"no", "yes"}, "no")},
        "normal or heavy-tailed noise of that size is added");
    add("round", {float_dtype()}, "rounded to a dtype");
    add("clamp", {number("low"), number("high")}, "cut off");
    add("flip_bit", {bits("bit", true)}, "one bit of one drawn element flips");
    add("nan_to_zero", {}, "NaN becomes 0");
    add("stale", {whole_or("steps", 1.0, 1.0)}, "as it was so many steps before");
    add("stale_first", {}, "as it was the first time");
    add("stale_length", {whole_or("by", 1.0, 1.0)}, "a length that is behind by so many");
    add("leave_out", {}, "does not enter");
    add("skip", {}, "does not happen");
    add("twice", {}, "happens twice: averaged, stepped or counted again");
    add("half_group", {}, "happens among half of the ranks only");
    add("repeat_batch", {}, "the batch before it once more");
    add("drop_micro_batch", {}, "one micro-batch does not enter");
    add("mean_of_means", {}, "the mean of the micro-batches' means, whatever their length");
    add("swap_sequence_and_batch", {}, "the two dimensions change places");
    add("permute_rows", {}, "the rows change places");
    add("permute_heads", {}, "the heads change places");
    add("drop_state", {text("state", "all")}, "a part of the state is missing");
    add("truncate", {share_or(0.5)}, "only the first share is there");
    add("low_precision_state", {float_dtype("bf16")},
        "master weights and moments are kept in a dtype");
    add("sleep", {duration("for")}, "takes so much longer");
    add("leak_memory", {whole("bytes", 1.0)}, "keeps so many bytes each time");
    add("raise", {text("message", "simulated framework error")}, "throws");
    add("hang", {}, "never ends");
    add("crash", {}, "the process aborts");
}

void add_events(std::vector<Effect>& all) {
    const Place at = Place::kEvent;
    const auto add = [&](std::string_view kind, std::vector<Field> fields, std::string_view does) {
        all.push_back({at, kind, std::move(fields), {}, does});
    };
    add("failures", {share_or(0.0), number_or("rate_factor", 1.0, 0.0)},
        "that share of interruptions, or so many times the rate");
    add("lemons", {number("share", 0.0, 1.0), number("hazard", 0.0)},
        "a share of the parts fails so many times as often");
    add("infant_mortality", {number("shape", 0.0)},
        "a Weibull hazard of that shape, below 1 early");
    add("outage", {duration("for"), duration("every")}, "everything stops for so long, so often");
    add("stall", {duration("for"), duration("every")}, "the run hangs for so long, so often");
    add("slow", {number("factor", 1.0), share_or(1.0)},
        "a share of the parts is so many times as slow");
}

}  // namespace

const std::vector<Effect>& effects() {
    static const std::vector<Effect> all = [] {
        std::vector<Effect> made;
        add_values(made);
        add_sums(made);
        add_inputs(made);
        add_places(made);
        add_run(made);
        add_collectives(made);
        add_points(made);
        add_events(made);
        return made;
    }();
    return all;
}

const Effect* find_effect(Place place, std::string_view kind) {
    const auto found = std::ranges::find_if(effects(), [&](const Effect& effect) {
        return effect.place == place && effect.kind == kind;
    });
    return found == effects().end() ? nullptr : &*found;
}

std::vector<std::string> effect_kinds(Place place) {
    std::vector<std::string> kinds;
    for (const Effect& effect : effects()) {
        if (effect.place == place) kinds.emplace_back(effect.kind);
    }
    return kinds;
}

}  // namespace ascertain::defects
