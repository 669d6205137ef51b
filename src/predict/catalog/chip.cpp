#include "predict/catalog/chip.hpp"

#include "predict/catalog/toml_reader.hpp"

namespace ascertain::catalog {
namespace {

constexpr std::array<std::string_view, kFormatCount> kFormatNames{"fp32", "tf32", "bf16", "fp16",
                                                                  "fp8",  "fp4",  "int8"};

void read_peaks(TomlReader& reader, Chip& chip) {
    const toml::table& section = reader.section("peak_dense", true);
    reader.allow(section, "peak_dense", {"fp32", "tf32", "bf16", "fp16", "fp8", "fp4", "int8"});
    for (std::size_t i = 0; i < kFormatCount; ++i)
        chip.peak_dense[i] =
            reader.quantity<FlopsPerSecond>(section, kFormatNames[i], "flops_per_second", false);
}

void read_memory_and_links(TomlReader& reader, Chip& chip) {
    const toml::table& memory = reader.section("memory", true);
    reader.allow(memory, "memory", {"capacity", "bandwidth", "type"});
    chip.memory = reader.quantity<Bytes>(memory, "capacity", "bytes", true);
    chip.memory_bandwidth =
        reader.quantity<BytesPerSecond>(memory, "bandwidth", "bytes_per_second", true);
    chip.memory_type = reader.text(memory, "type", false);

    const toml::table& up = reader.section("scale_up", true);
    reader.allow(up, "scale_up", {"network", "name", "per_direction", "domain"});
    chip.scale_up_network = reader.text(up, "network", true);
    chip.scale_up_name = reader.text(up, "name", false);
    chip.scale_up_per_direction =
        reader.quantity<BytesPerSecond>(up, "per_direction", "bytes_per_second", true);
    chip.scale_up_domain = reader.figure(up, "domain", "count", true);

    const toml::table& out = reader.section("scale_out", true);
    reader.allow(out, "scale_out", {"per_chip"});
    chip.scale_out_per_chip =
        reader.quantity<BytesPerSecond>(out, "per_chip", "bytes_per_second", true);

    const toml::table& host = reader.section("host_link", false);
    reader.allow(host, "host_link", {"per_direction"});
    chip.host_link_per_direction =
        reader.quantity<BytesPerSecond>(host, "per_direction", "bytes_per_second", false);
}

void read_economics(TomlReader& reader, Chip& chip) {
    const toml::table& power = reader.section("power", true);
    reader.allow(power, "power", {"board"});
    chip.power = reader.quantity<Watts>(power, "board", "watts", true);
    const toml::table& price = reader.section("price", false);
    reader.allow(price, "price", {"purchase", "rental"});
    chip.purchase = reader.quantity<Dollars>(price, "purchase", "dollars", false);
    chip.rental_per_hour = reader.quantity<Dollars>(price, "rental", "dollars_per_hour", false);
    const toml::table& reliability = reader.section("reliability", false);
    reader.allow(reliability, "reliability",
                 {"device_hours_between_interruptions", "soak_device_hours", "soak_failures"});
    chip.interruption_interval = reader.quantity<Seconds>(
        reliability, "device_hours_between_interruptions", "seconds", false);
    chip.soak_time = reader.quantity<Seconds>(reliability, "soak_device_hours", "seconds", false);
    chip.soak_failures = reader.figure(reliability, "soak_failures", "count", false);
    if (!reader.failed() && chip.soak_time.known() != chip.soak_failures.known())
        reader.fail(reliability, "soak_device_hours and soak_failures go together");
    const toml::table& checkpoint = reader.section("checkpoint", false);
    reader.allow(checkpoint, "checkpoint", {"write_per_device", "read_per_device"});
    chip.checkpoint_write_per_device =
        reader.quantity<BytesPerSecond>(checkpoint, "write_per_device", "bytes_per_second", false);
    chip.checkpoint_read_per_device =
        reader.quantity<BytesPerSecond>(checkpoint, "read_per_device", "bytes_per_second", false);
}

void read_achieved(TomlReader& reader, Chip& chip) {
    const toml::table& achieved = reader.section("bf16_matmul_achieved", false);
    reader.allow(achieved, "bf16_matmul_achieved", {"fraction", "rate", "peak_used", "note"});
    chip.achieved.fraction = reader.figure(achieved, "fraction", "ratio", false);
    chip.achieved.rate =
        reader.quantity<FlopsPerSecond>(achieved, "rate", "flops_per_second", false);
    chip.achieved.peak_used =
        reader.quantity<FlopsPerSecond>(achieved, "peak_used", "flops_per_second", false);
    chip.achieved.note = reader.text(achieved, "note", false);

    const toml::table& planning = reader.section("planning_defaults", false);
    reader.allow(planning, "planning_defaults",
                 {"compute_efficiency", "memory_efficiency", "communication_efficiency",
                  "matmul_start", "vector_start", "collective_start"});
    PlanningDefaults& defaults = chip.planning;
    defaults.compute_efficiency = reader.figure(planning, "compute_efficiency", "ratio", false);
    defaults.memory_efficiency = reader.figure(planning, "memory_efficiency", "ratio", false);
    defaults.communication_efficiency =
        reader.figure(planning, "communication_efficiency", "ratio", false);
    defaults.matmul_start = reader.quantity<Seconds>(planning, "matmul_start", "seconds", false);
    defaults.vector_start = reader.quantity<Seconds>(planning, "vector_start", "seconds", false);
    defaults.collective_start =
        reader.quantity<Seconds>(planning, "collective_start", "seconds", false);
}

void read_software(TomlReader& reader, Chip& chip) {
    const toml::table& software = reader.section("software", false);
    reader.allow(software, "software", {"stack", "torch_device", "torch_plugin", "note"});
    chip.software_stack = reader.text(software, "stack", false);
    chip.torch_device = reader.text(software, "torch_device", false);
    chip.torch_plugin = reader.text(software, "torch_plugin", false);
    chip.software_note = reader.text(software, "note", false);
    const toml::table& rules = reader.section("export", false);
    reader.allow(rules, "export", {"note", "source", "kind"});
    chip.export_note = reader.text(rules, "note", false);
    chip.export_source = reader.text(rules, "source", false);
    for (const toml::table* entry : reader.sections("conflicts")) {
        reader.allow(*entry, "conflicts", {"field", "figure"});
        chip.conflicts.push_back(
            {reader.text(*entry, "field", true), reader.figure(*entry, "figure", "", true)});
    }
}

}  // namespace

std::string_view name_of(Format format) {
    return kFormatNames[static_cast<std::size_t>(format)];
}

Result<Chip> parse_chip(std::string_view text, std::string_view name) {
    TomlReader reader(text, name);
    if (reader.failed()) return reader.error();
    const toml::table& root = reader.root();
    reader.allow(root, "",
                 {"schema",
                  "id",
                  "vendor",
                  "name",
                  "status",
                  "aliases",
                  "notes",
                  "year",
                  "process",
                  "devices_per_package",
                  "peak_dense",
                  "memory",
                  "scale_up",
                  "scale_out",
                  "host_link",
                  "power",
                  "price",
                  "reliability",
                  "checkpoint",
                  "bf16_matmul_achieved",
                  "planning_defaults",
                  "software",
                  "export",
                  "conflicts"});
    Chip chip;
    if (reader.text(root, "schema", true) != "ascertain.chip/1")
        reader.fail(root, "schema must be \"ascertain.chip/1\"");
    chip.id = reader.text(root, "id", true);
    chip.vendor = reader.text(root, "vendor", true);
    chip.name = reader.text(root, "name", true);
    chip.status = reader.text(root, "status", true);
    chip.aliases = reader.texts(root, "aliases");
    chip.notes = reader.text(root, "notes", false);
    chip.year = reader.figure(root, "year", "year", false);
    chip.process_nm = reader.figure(root, "process", "nanometres", false);
    chip.devices_per_package = reader.figure(root, "devices_per_package", "count", false);
    read_peaks(reader, chip);
    read_memory_and_links(reader, chip);
    read_economics(reader, chip);
    read_achieved(reader, chip);
    read_software(reader, chip);
    if (reader.failed()) return reader.error();
    return chip;
}

}  // namespace ascertain::catalog
