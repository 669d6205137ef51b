// ascertain handoff: a checkpoint trained elsewhere, served here: judged, or its log-probabilities
// written down.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "app/commands/all.hpp"
#include "app/device_hosts.hpp"
#include "app/exit_codes.hpp"
#include "app/files.hpp"
#include "app/interrupt.hpp"
#include "app/qualify/run.hpp"
#include "measure/device/pool.hpp"

namespace ascertain::app {
namespace {

constexpr std::size_t kTokensBytesMax = std::size_t{256} << 20;
constexpr std::int64_t kTokensPerRequest = 1 << 16;
constexpr double kDeadline_s = 3600.0;

struct Options {
    QualifyOptions qualify;
    std::string to;
    std::string tokens;
    std::string dump;
};

// Rows of a token file, so many that a request carries about kTokensPerRequest tokens.
Result<std::vector<Json>> read_batches(const std::string& path) {
    const auto text = read_file(path, kTokensBytesMax);
    if (!text) return text.error();
    const auto lists = parse_json(*text, path, {.size_bytes_max = kTokensBytesMax});
    if (!lists) return lists.error();
    if (!lists->is_array() || lists->empty() || !lists->front().is_array() ||
        lists->front().size() < 2) {
        return Error{ErrorCode::kBadInput,
                     "is not a list of token lists of two tokens or more: [[12, 7, ...], ...]",
                     path};
    }
    const auto length = static_cast<std::int64_t>(lists->front().size());
    const std::size_t rows =
        static_cast<std::size_t>(std::max<std::int64_t>(1, kTokensPerRequest / length));
    std::vector<Json> batches;
    for (std::size_t row = 0; row < lists->size(); ++row) {
        if (!(*lists)[row].is_array() || (*lists)[row].size() != lists->front().size()) {
            return Error{ErrorCode::kBadInput,
                         fmt::format("list {} is not as long as the first, {} tokens", row, length),
                         path};
        }
        if (row % rows == 0) batches.push_back(Json::array());
        batches.back().push_back((*lists)[row]);
    }
    return batches;
}

// What a worker's error means to the one who started the command.
Error error_of(const device::Reply& reply, const std::string& device) {
    switch (reply.ending) {
        case device::Ending::kNotStarted:
            return {ErrorCode::kDeviceUnavailable, reply.message, device};
        case device::Ending::kError: {
            const bool asked_wrongly =
                reply.error_kind == "invalid_request" || reply.error_kind == "unsupported";
            return {asked_wrongly ? ErrorCode::kBadInput : ErrorCode::kDeviceUnavailable,
                    reply.message, device};
        }
        default:
            return {ErrorCode::kDeviceUnavailable,
                    "the worker did not live to answer: " + reply.message, device};
    }
}

int dump(Terminal& terminal, const Home& home, const Options& options) {
    const auto batches = read_batches(options.tokens);
    if (!batches) return terminal.complain(batches.error());
    const auto names = chosen_devices({options.to});
    if (!names) return terminal.complain(names.error());
    const auto spec = launch_spec(home, names->front(), "", 0);
    if (!spec) return terminal.complain(spec.error());
    const device::SteadyClock clock;
    device::Pool pool(clock, {*spec}, {});
    const std::string dtype =
        options.qualify.serve_dtype.empty() ? "fp32" : options.qualify.serve_dtype;
    const std::string folder = std::filesystem::absolute(options.qualify.weights_folder).string();
    Json logprobs = Json::array();
    Json last;
    for (std::size_t batch = 0; batch < batches->size(); ++batch) {
        terminal.status(fmt::format("scoring part {} of {} …", batch + 1, batches->size()));
        const Json params{{"weights", {{"folder", folder}}},
                          {"tokens", (*batches)[batch]},
                          {"dtype", dtype},
                          {"ways", {"whole"}},
                          {"hash", batch + 1 == batches->size()}};
        const auto reply = device::call(pool, 0, {"logprobs", params, {kDeadline_s}},
                                        [] { return interrupted().load(); });
        terminal.status("");
        if (!reply) return terminal.complain(reply.error());
        if (reply->ending != device::Ending::kResult) {
            return terminal.complain(error_of(*reply, names->front()));
        }
        for (const Json& row : reply->result["scores"]["whole"]["logprobs"]) {
            logprobs.push_back(row);
        }
        last = reply->result;
    }
    const Json document{{"schema", "ascertain.logprobs/1"},
                        {"device", names->front()},
                        {"dtype", dtype},
                        {"weights_hash", last.value("weights_hash", Json())},
                        {"quantisation", last.value("quantisation", Json())},
                        {"logprobs", std::move(logprobs)}};
    const auto written = write_file(options.dump, document.dump() + "\n");
    if (!written) return terminal.complain(written.error());
    terminal.say(fmt::format("log-probabilities of {} texts written to {}",
                             document["logprobs"].size(), options.dump));
    return kExitDone;
}

int run(Terminal& terminal, const Home& home, Options& options) {
    QualifyOptions& qualification = options.qualify;
    if (options.dump.empty() != options.tokens.empty()) {
        return terminal.complain(
            {ErrorCode::kUsage, "--tokens FILE and --dump FILE belong together", ""});
    }
    if (!options.dump.empty()) return dump(terminal, home, options);
    if (qualification.devices.empty()) qualification.devices = {options.to};
    return qualify(terminal, home, qualification);
}

}  // namespace

Run declare_handoff(CLI::App& flags) {
    auto options = std::make_shared<Options>();
    options->qualify.command = "handoff";
    options->qualify.part = "@serve";
    options->qualify.profile = checks::Profile::kStandard;  // the least that can qualify
    flags
        .add_option("--from", options->qualify.weights_folder,
                    "Folder of the checkpoint: config.json and safetensors, as transformers saves")
        ->required()
        ->type_name("DIR");
    flags
        .add_option(
            "--to", options->to,
            "What serves it: a device (cpu, cuda:0, npu:3 …) or a server, http://host:port/v1")
        ->required()
        ->type_name("DEVICE|URL");
    flags
        .add_option("--dtype", options->qualify.serve_dtype,
                    "Precision it is served in; default: the campaign's, and fp32 with --dump")
        ->check(CLI::IsMember({"fp32", "bf16", "fp16"}));
    flags.add_option("--tokens", options->tokens,
                     "JSON list of equally long token lists, to score instead of judging");
    flags.add_option("--dump", options->dump,
                     "Where to write the log-probability of each next token of --tokens");
    flags
        .add_option("--profile", options->qualify.profile,
                    "quick or standard (the default): how much text")
        ->transform(CLI::CheckedTransformer(std::map<std::string, checks::Profile>{
            {"quick", checks::Profile::kQuick}, {"standard", checks::Profile::kStandard}}))
        ->type_name("quick|standard");
    flags.add_option("--out", options->qualify.out,
                     "Directory for the evidence; default: evidence/<campaign>-<time>");
    flags.add_option("--seed", options->qualify.seed, "Seed of the text")
        ->check(CLI::Range(std::uint64_t{0}, (std::uint64_t{1} << 53) - 1));
    flags.add_option("--defects", options->qualify.defects,
                     "Rehearse: arm this defect file in the simulated device (docs/defects.md)");
    return
        [options](Terminal& terminal, const Home& home) { return run(terminal, home, *options); };
}

}  // namespace ascertain::app
