// The chip and network files that measurements make.
#include <fmt/format.h>
#include <toml++/toml.h>

#include <sstream>

#include "app/calibration.hpp"
#include "predict/catalog/chip.hpp"
#include "predict/catalog/network.hpp"

namespace ascertain::app {
namespace {

constexpr std::string_view kHeader =
    "# Written by `ascertain calibrate`; figures of kind \"measured\" that name evidence are this "
    "device's.\n";

toml::table figure(const MeasuredRange& range, double scale, const char* unit,
                   const std::string& source, const std::string& note = "") {
    toml::table table{
        {"value", range.mid / scale}, {"unit", unit}, {"kind", "measured"}, {"source", source}};
    if (range.high > range.low) {
        table.insert("low", range.low / scale);
        table.insert("high", range.high / scale);
    }
    if (!note.empty()) table.insert("note", note);
    table.is_inline(true);
    return table;
}

MeasuredRange one(double value) {
    return {value, value, value, 1, ""};
}

// The rate a file must state for the simulator to come out at the measured one.
toml::table stated_rate(const MeasuredRange& reached, double share, const std::string& what) {
    const MeasuredRange stated{reached.low / share, reached.mid / share, reached.high / share,
                               reached.cases, ""};
    const std::string note = fmt::format(
        "{} reached {:.4g} GB/s; divided by {:.3g}, the share of a stated rate that the simulator "
        "lets it reach",
        what, reached.mid / 1e9, share);
    return figure(stated, 1e9, "GB/s", reached.record, note);
}

toml::table& section(toml::table& root, std::string_view name) {
    if (!root.contains(name)) root.insert(name, toml::table{});
    return *root[name].as_table();
}

void put(toml::table& root, std::string_view part, std::string_view key, toml::table value) {
    section(root, part).insert_or_assign(key, std::move(value));
}

void put_matmul(toml::table& root, const catalog::Chip& base, const MeasuredRange& range) {
    const std::string& source = range.record;
    const MeasuredRange best = one(range.mid);
    put(root, "bf16_matmul_achieved", "rate", figure(best, 1e12, "TFLOP/s", source));
    section(root, "bf16_matmul_achieved")
        .insert_or_assign("note",
                          fmt::format("best of {} timed cases; {:.4g} TFLOP/s over all of them",
                                      range.cases, range.low / 1e12));
    const auto& peak = base.peak(catalog::Format::kBf16);
    if (!peak.known() || !(range.mid <= peak.value->count)) {
        // Faster than the printed peak, or no peak printed: what was measured bounds it from below.
        put(root, "peak_dense", "bf16", figure(best, 1e12, "TFLOP/s", source));
        put(root, "bf16_matmul_achieved", "fraction",
            figure(one(1.0), 1.0, "fraction of peak", source));
        put(root, "bf16_matmul_achieved", "peak_used", figure(best, 1e12, "TFLOP/s", source));
        return;
    }
    put(root, "bf16_matmul_achieved", "fraction",
        figure(one(range.mid / peak.value->count), 1.0, "fraction of peak", source));
    put(root, "bf16_matmul_achieved", "peak_used",
        figure(one(peak.value->count), 1e12, "TFLOP/s", "denominator of the fraction"));
}

// What was seen, which the months take, and for people the posterior's 10 %, median and 90 % of
// device-hours between interruptions.
void put_failures(toml::table& root, const goodput::GammaRate& prior,
                  const DeviceMeasurements& measured) {
    const goodput::SoakEvidence& soak = measured.soak;
    const std::string& source = measured.soak_record;
    const goodput::GammaRate rate = goodput::updated(prior, soak);
    put(root, "reliability", "soak_device_hours", figure(one(soak.device_hours), 1.0, "h", source));
    put(root, "reliability", "soak_failures", figure(one(soak.failures), 1.0, "count", source));
    put(root, "reliability", "device_hours_between_interruptions",
        figure(
            {1.0 / rate.quantile(0.9), 1.0 / rate.quantile(0.5), 1.0 / rate.quantile(0.1), 1, ""},
            1.0, "h",
            fmt::format("{}: {:.0f} failures in {:.4g} device-hours of soak; {:.0f} % of the "
                        "mean is the prior's",
                        source, soak.failures, soak.device_hours,
                        100.0 * goodput::prior_share(prior, soak))));
}

void put_checkpoint(toml::table& root, const DeviceMeasurements& measured) {
    const auto put_rate = [&root](const char* key, const std::optional<MeasuredRange>& rate) {
        if (rate) put(root, "checkpoint", key, figure(*rate, 1e9, "GB/s", rate->record));
    };
    put_rate("write_per_device", measured.checkpoint_write_bytes_per_s);
    put_rate("read_per_device", measured.checkpoint_read_bytes_per_s);
}

std::string words_of(const LinkMeasurement& link) {
    return fmt::format("{} ranks over {}, the middle of {} kinds of collective,", link.ranks,
                       link.backend, link.bus_bytes_per_s.cases);
}

std::string text_of(const toml::table& root) {
    std::ostringstream text;
    text << kHeader << root << "\n";
    return text.str();
}

}  // namespace

Result<std::string> calibrated_chip(std::string_view base_text, const std::string& base_name,
                                    const DeviceMeasurements& measured,
                                    const goodput::GammaRate& prior, const ReachedShares& shares) {
    const LinkMeasurement* link = measured.link(false);
    const bool for_networks_alone = measured.links.size() == 1 && link == nullptr;
    DeviceMeasurements of_chip = measured;
    if (for_networks_alone) of_chip.links.clear();
    if (!of_chip.anything()) {
        return Error{ErrorCode::kUnsupported, "nothing that belongs into a chip file was measured",
                     measured.device};
    }
    const auto base = catalog::parse_chip(base_text, base_name);
    if (!base) return base.error();
    toml::table root = toml::parse(base_text, base_name);
    // The id stays: constants fitted to this die go with it, and a file of the user's replaces
    // ours.
    root.insert_or_assign("name", base->name + ", calibrated");
    if (const auto& range = measured.matmul_flops_per_s) put_matmul(root, *base, *range);
    if (const auto& range = measured.streamed_bytes_per_s)
        put(root, "memory", "bandwidth", stated_rate(*range, shares.memory, "streaming"));
    if (link != nullptr)
        put(root, "scale_up", "per_direction",
            stated_rate(link->bus_bytes_per_s, shares.scale_up, words_of(*link)));
    put_checkpoint(root, measured);
    if (measured.soak.device_hours > 0.0) put_failures(root, prior, measured);
    std::string text = text_of(root);
    const auto checked = catalog::parse_chip(text, "the calibrated chip");
    if (!checked) return checked.error();
    return text;
}

Result<std::string> calibrated_network(std::string_view base_text, const std::string& base_name,
                                       const DeviceMeasurements& measured,
                                       const ReachedShares& shares) {
    const auto base = catalog::parse_network(base_text, base_name);
    if (!base) return base.error();
    const bool scale_out = base->scope == "scale-out";
    const LinkMeasurement* link = measured.link(scale_out);
    if (link == nullptr) {
        return Error{ErrorCode::kUnsupported,
                     scale_out
                         ? "no links.speed over several nodes in this evidence: ranks of one "
                           "node say nothing about a scale-out network; run `ascertain links` "
                           "with --nodes"
                         : "no links.speed within a node in this evidence; run `ascertain "
                           "links` on several devices of one node",
                     base->id};
    }
    toml::table root = toml::parse(base_text, base_name);
    root.insert_or_assign("name", base->name + ", calibrated");
    const double share = scale_out ? shares.scale_out : shares.scale_up;
    auto rate = stated_rate(link->bus_bytes_per_s, share, words_of(*link));
    root.insert_or_assign("per_direction_per_chip", std::move(rate));
    // The pair of the old rate would be faster than all links together, or was printed for it.
    const bool pair_is_stated = root.contains("point_to_point");
    if (pair_is_stated && base->per_direction_per_chip.known() && base->point_to_point.known()) {
        const double ratio =
            base->point_to_point.value->count / base->per_direction_per_chip.value->count;
        MeasuredRange pair = link->bus_bytes_per_s;
        for (double* end : {&pair.low, &pair.mid, &pair.high}) *end *= ratio;
        root.insert_or_assign("point_to_point",
                              stated_rate(pair, share,
                                          "a pair, in proportion to the group, would"
                                          " have"));
    }
    root.insert_or_assign("latency", figure(link->latency_s, 1e-6, "us", link->latency_s.record));
    for (const auto& kind : link->kinds) {
        if (!root.contains("notes")) root.insert("notes", "");
        const std::string notes = root["notes"].value_or(std::string());
        root.insert_or_assign("notes",
                              fmt::format("{}{}{}", notes, notes.empty() ? "" : "; ", kind));
    }
    std::string text = text_of(root);
    const auto checked = catalog::parse_network(text, "the calibrated network");
    if (!checked) return checked.error();
    return text;
}

}  // namespace ascertain::app
