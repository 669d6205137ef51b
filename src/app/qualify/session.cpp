#include "app/qualify/session.hpp"

#include <fmt/format.h>
#include <sys/utsname.h>

#include "app/names.hpp"
#include "app/version.hpp"
#include "decide/evidence/blobs.hpp"

namespace ascertain::app {
namespace {

std::string system_line() {
    struct utsname system {};
    if (::uname(&system) != 0) return "unknown";
    return fmt::format("{} {} {}", system.sysname, system.release, system.machine);
}

std::string host_name() {
    struct utsname system {};
    return ::uname(&system) == 0 ? system.nodename : "unknown";
}

// Name → version of everything whose change makes measurements stale.
Json software_of(const Preparation& preparation) {
    Json software{{"ascertain", std::string(version())}, {"criteria", preparation.criteria.hash()}};
    for (const auto& description : preparation.crew.descriptions) {
        const Json libraries = description.value("libraries", Json::object());
        for (const auto& library : libraries.items()) software[library.key()] = library.value();
        if (description.contains("driver") && description["driver"].is_string())
            software["driver"] = description["driver"];
    }
    return software;
}

}  // namespace

// The campaign, and of its chips what a rung needs to know.
Json campaign_json(const Situation& situation, const QualifyOptions& options) {
    Json campaign = to_json(situation.campaign);
    campaign["autocast"] = options.autocast;
    for (std::size_t i = 0; i < situation.fleets.size(); ++i) {
        const auto& domain = situation.fleets[i].chip.scale_up_domain;
        campaign["fleets"][i]["chips_per_domain"] = domain.known() ? Json(*domain.value) : Json();
    }
    return campaign;
}

Result<std::string> write_context(evidence::Store& store, const Preparation& preparation,
                                  const QualifyOptions& options) {
    Json campaign = campaign_json(preparation.situation, options);
    for (const auto& [key, text] :
         {std::pair<const char*, std::string>{"campaign_blob", preparation.situation.campaign_text},
          {"config_blob", preparation.situation.config_text},
          {"capture_blob", preparation.capture_answer.dump()}}) {
        auto blob = store.put_blob(text);
        if (!blob) return blob.error();
        campaign[key] = *std::move(blob);
    }
    campaign["cuts"] = to_json(preparation.narrowed.cuts);
    evidence::SessionContext context;
    context.tool_version = version();
    context.commit = commit();
    context.arguments = {"ascertain", options.command};
    context.host = host_name();
    context.system = system_line();
    context.time_utc = evidence::utc_now();
    context.campaign = std::move(campaign);
    for (const auto& description : preparation.crew.descriptions)
        context.devices.push_back(description);
    context.software = software_of(preparation);
    return store.append("context", evidence::to_json(context));
}

RunIdentity identity_of(const Situation& situation, const QualifyOptions& options) {
    RunIdentity identity;
    identity.profile = name_of(options.profile);
    identity.campaign = campaign_json(situation, options);
    identity.config_text = situation.config_text;
    identity.host = host_name();
    return identity;
}

RunIdentity identity_of(const Preparation& preparation, const QualifyOptions& options) {
    RunIdentity identity = identity_of(preparation.situation, options);
    identity.software = software_of(preparation);
    for (const auto& description : preparation.crew.descriptions)
        identity.devices.push_back(description);
    return identity;
}

Result<LowerRung> open_lower_rung(const Home& home, const QualifyOptions& options) {
    if (options.replays()) {
        return Error{ErrorCode::kUsage,
                     "--reuse takes over answers about the model's own operators; these are given "
                     "cases",
                     "--reuse " + options.reuse};
    }
    auto lower = read_lower_rung(options.reuse);
    if (!lower) return lower;
    const auto situation = read_situation(home, options.inputs);
    if (!situation) return situation.error();
    if (!other_question(*lower, identity_of(*situation, options)).empty()) {
        lower.value().capture = Json::object();
    }
    return lower;
}

Result<std::vector<qualification::Attempt>> take_over(Terminal& terminal, evidence::Store& store,
                                                      const LowerRung& lower,
                                                      const Preparation& preparation,
                                                      const QualifyOptions& options) {
    Reuse taken = reuse(lower, identity_of(preparation, options), preparation.plan);
    terminal.say(fmt::format("reusing {} answers of the {} rung from {}", taken.checks, lower.rung,
                             lower.directory));
    for (const auto& what : taken.repeated) terminal.say("to be repeated: " + what);
    const auto cited = store.append("reused", {{"directory", lower.directory},
                                               {"evidence_head", lower.head},
                                               {"rung", lower.rung},
                                               {"checks", taken.checks},
                                               {"repeated", taken.repeated}});
    if (!cited) return cited.error();
    for (const auto& [kind, body] : taken.records) {
        for (const auto& name : body.value("blobs", Json::array())) {
            const auto content = evidence::get_blob(lower.directory, name.get<std::string>());
            if (!content) return content.error();
            const auto kept = store.put_blob(*content);
            if (!kept) return kept.error();
        }
        const auto written = store.append(kind, body);
        if (!written) return written.error();
    }
    return std::move(taken.attempts);
}

}  // namespace ascertain::app
