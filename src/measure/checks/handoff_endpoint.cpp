// handoff.endpoint: a server of somebody else's, does it say of the same text what the reference
// says, which has loaded the same weights? Where it scores no text that it is handed, it writes
// texts itself, and the reference scores those (docs/handoff.md).
#include <array>
#include <map>

#include "measure/checks/answers.hpp"
#include "measure/checks/scores.hpp"
#include "measure/checks/steps.hpp"

namespace ascertain::checks {
namespace {

constexpr std::array<std::string_view, 2> kNeeded{"tokens", "nonfinite_logprobs"};
// As likeliest token (docs/protocol.md#logprobs).
constexpr int kNotScored = -1;
constexpr int kNotKnown = -2;

Ask ask_server(const Context& context) {
    Ask ask{.state = {{"asked", "server"}}, .requests = {}};
    for (const int length : handoff_lengths(context)) {
        ask.requests.push_back({.kind = "logprobs",
                                .params = {{"weights", context.subject.params["serve_weights"]},
                                           {"text",
                                            {{"rows", handoff_rows(context, length)},
                                             {"length", length},
                                             {"seed", context.seed}}},
                                           {"dtype", context.subject.params["serve_dtype"]},
                                           {"ways", {"whole", "alone"}}},
                                .deadline = deadline_of_training(context.profile),
                                .members = {0}});
    }
    return ask;
}

// The same tokens to the reference: in fp32, then as a healthy server of that precision.
std::variant<Ask, GiveUp> ask_reference(const Context& context, std::span<const Answer> answers) {
    const std::size_t lengths = handoff_lengths(context).size();
    if (answers.size() != lengths) return harness_error("not every length was answered once");
    std::vector<Json> said(lengths);
    for (const Answer& answer : answers) {
        if (answer.kind != AnswerKind::kResult) return give_up(answer);
        const auto observation = observation_of(answer, kNeeded);
        if (const auto* broken = std::get_if<GiveUp>(&observation)) return *broken;
        if (answer.request >= lengths || !answer.result.contains("tokens") ||
            !answer.result.contains("scores")) {
            return harness_error("the server's scores are not there");
        }
        said[answer.request] = {{"tokens", answer.result["tokens"]},
                                {"scores", answer.result["scores"]},
                                {"scored_by", answer.result.value("scored_by", "")}};
    }
    Ask ask{.state = {{"asked", "reference"}, {"said", said}}, .requests = {}};
    for (const bool twin : {false, true}) {
        for (std::size_t i = 0; i < lengths; ++i) {
            ask.requests.push_back(
                {.kind = "logprobs",
                 .params = {{"weights", context.subject.params["serve_weights"]},
                            {"tokens", said[i]["tokens"]},
                            {"dtype", twin ? context.subject.params["serve_dtype"] : Json("fp32")},
                            {"side", twin ? "twin" : "kernels"},
                            {"ways", {"whole"}},
                            {"hash", false}},
                 .deadline = deadline_of_training(context.profile),
                 .members = {context.reference()}});
        }
    }
    return ask;
}

struct Compared {
    Difference server;  // against the reference, all lengths
    Difference twin;    // the reference's twin against the reference
    Difference alone;   // the server one by one against itself in a batch
    std::vector<double> by_length;
    bool knows_likeliest = true;
};

bool any_not_known(const Json& likeliest) {
    for (const Json& row : likeliest) {
        for (const Json& token : row) {
            if (token == kNotKnown) return true;
        }
    }
    return false;
}

// The twin's scores where the server has one too.
Scores where_scored(Scores twin, const Scores& server) {
    for (std::size_t row = 0; row < twin.likeliest.size(); ++row) {
        if (row >= server.likeliest.size()) break;
        for (std::size_t i = 0; i < twin.likeliest[row].size(); ++i) {
            if (server.likeliest[row].at(i) == kNotScored) twin.likeliest[row][i] = kNotScored;
        }
    }
    return twin;
}

std::variant<Compared, GiveUp> compare(const Context& context, const Json& said,
                                       std::span<const Answer> answers) {
    const std::size_t lengths = handoff_lengths(context).size();
    const auto read = scores_by_request(answers, 2 * lengths);
    if (const auto* reason = std::get_if<GiveUp>(&read)) return *reason;
    const auto& theirs = std::get<std::map<std::size_t, Scores>>(read);
    Compared compared;
    for (std::size_t i = 0; i < lengths; ++i) {
        const auto own = scores_of(said[i], "whole");
        if (!own) return harness_error("the server's scores are missing");
        // Where a server does not say what it likes best it is not asked; where it scores the end
        // of a text alone, the beginning is left out.
        compared.knows_likeliest = compared.knows_likeliest && !any_not_known(own->likeliest);
        Difference here;
        add_difference(theirs.at(i), *own, true, here);
        compared.by_length.push_back(here.mean());
        add_difference(theirs.at(i), *own, true, compared.server);
        add_difference(theirs.at(i), where_scored(theirs.at(lengths + i), *own), true,
                       compared.twin);
        const auto alone = scores_of(said[i], "alone");
        if (alone) add_difference(*own, *alone, true, compared.alone);
    }
    return compared;
}

Observation observe(const Compared& compared) {
    const Difference& server = compared.server;
    const Difference& twin = compared.twin;
    Observation all{
        metric_of("unscored_tokens", static_cast<double>(server.unscored + compared.alone.unscored),
                  "count"),
        metric_of("scored_tokens", server.count(), "count")};
    add_metric(all, "logprob_error_mean", server.mean(), "nat", server);
    add_metric(all, "logprob_error_mean_band", twin.mean(), "nat", twin);
    add_metric(all, "logprob_error_p99", server.p99(), "nat", server);
    add_metric(all, "logprob_error_p99_band", twin.p99(), "nat", twin);
    add_metric(all, "logprob_error_max", server.max(), "nat", server);
    add_metric(all, "probability_error_mean", server.probability_mean(), "ratio", server);
    add_metric(all, "probability_error_mean_band", twin.probability_mean(), "ratio", twin);
    add_metric(all, "logprob_shift", server.shift(), "nat", server);
    if (compared.knows_likeliest) {
        add_metric(all, "likeliest_disagreement", server.disagreement(), "ratio", server);
        add_metric(all, "likeliest_disagreement_band", twin.disagreement(), "ratio", twin);
    } else {
        all.push_back(absent_metric("likeliest_disagreement", "ratio",
                                    "the server does not say which token it likes best"));
    }
    if (compared.alone.count() > 0.0) {
        add_metric(all, "alone_error_mean", compared.alone.mean(), "nat", compared.alone);
    } else {
        all.push_back(absent_metric("alone_error_mean", "nat",
                                    "the server scores no text that it is handed"));
    }
    add_growth(all, compared.by_length, server);
    return all;
}

}  // namespace

Step handoff_endpoint(const Context& context, const Json& state, std::span<const Answer> answers) {
    const bool asked_well = parameter(context, "serve_weights", Json::value_t::object) != nullptr &&
                            parameter(context, "serve_dtype", Json::value_t::string) != nullptr &&
                            !handoff_lengths(context).empty();
    if (!asked_well) {
        return harness_error("the handoff needs weights, the length they reach and a dtype");
    }
    if (state.is_null()) return ask_server(context);
    if (state.value("asked", "") == "server") {
        auto next = ask_reference(context, answers);
        if (auto* reason = std::get_if<GiveUp>(&next)) return std::move(*reason);
        return std::get<Ask>(std::move(next));
    }
    const Json& said = state["said"];
    const auto outcome = compare(context, said, answers);
    if (const auto* reason = std::get_if<GiveUp>(&outcome)) return *reason;
    const Compared& compared = std::get<Compared>(outcome);
    Done done;
    done.observation = observe(compared);
    Json lengths = Json::array();
    const auto asked = handoff_lengths(context);
    for (std::size_t i = 0; i < asked.size(); ++i) {
        lengths.push_back({{"length", asked[i]}, {"logprob_error_mean", compared.by_length[i]}});
    }
    done.detail = {{"dtype", context.subject.params["serve_dtype"]},
                   {"scored_by", said[0]["scored_by"]},
                   {"lengths", std::move(lengths)}};
    return done;
}

}  // namespace ascertain::checks
