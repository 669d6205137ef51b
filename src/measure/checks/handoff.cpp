// handoff.fp32 and handoff.precision: a model carried to this device, does it say what it says on
// the reference? Teacher-forced log-probabilities of text that nobody can predict, at several
// lengths; in one pass, row by row, and token by token with a cache. First in fp32, where any
// defect shows, then in the serving precision against the reference's own healthy twin.
#include <fmt/format.h>

#include <array>
#include <map>

#include "measure/checks/answers.hpp"
#include "measure/checks/scores.hpp"
#include "measure/checks/steps.hpp"

namespace ascertain::checks {
namespace {

constexpr std::array<std::string_view, 2> kNeeded{"tokens", "nonfinite_logprobs"};

struct ServeQuestion {
    std::string dtype;
    bool with_twin = false;
};

Request request_for(const Context& context, int length, const std::string& dtype, const char* side,
                    const Json& ways, bool hash, std::size_t member) {
    return {.kind = "logprobs",
            .params = {{"weights", context.subject.params["serve_weights"]},
                       {"text",
                        {{"rows", handoff_rows(context, length)},
                         {"length", length},
                         {"seed", context.seed}}},
                       {"dtype", dtype},
                       {"side", side},
                       {"ways", ways},
                       {"hash", hash}},
            .deadline = deadline_of_training(context.profile),
            .members = {member}};
}

// The requests of a question, in the order in which `read` finds their answers: for each length
// device, reference and, where asked for, twin.
std::vector<Request> requests_of(const Context& context, const ServeQuestion& question) {
    std::vector<Request> requests;
    const Json all{"whole", "alone", "decode"};
    const Json whole{"whole"};
    bool first = true;
    for (const int length : handoff_lengths(context)) {
        requests.push_back(request_for(context, length, question.dtype, "device", all, first, 0));
        requests.push_back(
            request_for(context, length, "fp32", "kernels", whole, first, context.reference()));
        first = false;
    }
    if (question.with_twin) {
        for (const int length : handoff_lengths(context)) {
            requests.push_back(request_for(context, length, question.dtype, "twin", whole, false,
                                           context.reference()));
        }
    }
    return requests;
}

struct Compared {
    Difference device;              // against the reference, all lengths
    Difference twin;                // the reference's twin against the reference
    Difference alone;               // the device row by row against itself in a batch
    Difference decode;              // ... and token by token
    std::vector<double> by_length;  // mean |difference| of device and reference
    std::size_t weights_differ = 0;
    std::size_t texts_differ = 0;
    double nonfinite = 0.0;
    Json quantisation;
};

std::variant<Compared, GiveUp> read(const Context& context, const ServeQuestion& question,
                                    std::span<const Answer> answers) {
    const std::size_t lengths = handoff_lengths(context).size();
    std::map<std::size_t, const Answer*> by_request;
    for (const Answer& answer : answers) by_request[answer.request] = &answer;
    const std::size_t expected = lengths * (question.with_twin ? 3 : 2);
    if (answers.size() != expected || by_request.size() != expected) {
        return harness_error("logprobs was not answered once for every length");
    }
    Compared compared;
    for (const auto& [number, answer] : by_request) {
        const bool of_device = number < 2 * lengths && number % 2 == 0;
        if (answer->kind != AnswerKind::kResult) {
            if (of_device) return give_up(*answer);
            return harness_error("the reference could not score: " + answer->message);
        }
        const auto observation = observation_of(*answer, kNeeded);
        if (const auto* broken = std::get_if<GiveUp>(&observation)) return *broken;
        if (of_device) {
            const Metric* broken =
                find_metric(std::get<Observation>(observation), "nonfinite_logprobs");
            compared.nonfinite += broken->value.value_or(1.0);
        }
    }
    for (std::size_t i = 0; i < lengths; ++i) {
        const Answer& device = *by_request[2 * i];
        const Answer& reference = *by_request[2 * i + 1];
        const auto ours = scores_of(device.result, "whole");
        const auto theirs = scores_of(reference.result, "whole");
        const auto alone = scores_of(device.result, "alone");
        const auto decoded = scores_of(device.result, "decode");
        if (!ours || !theirs || !alone || !decoded) return harness_error("scores are missing");
        if (device.result.value("tokens", Json()) != reference.result.value("tokens", Json(0))) {
            ++compared.texts_differ;
        }
        Difference own;
        add_difference(*ours, *theirs, false, own);
        compared.by_length.push_back(own.mean());
        add_difference(*ours, *theirs, false, compared.device);
        add_difference(*ours, *alone, false, compared.alone);
        add_difference(*ours, *decoded, true, compared.decode);
        if (question.with_twin) {
            const auto twin = scores_of(by_request[2 * lengths + i]->result, "whole");
            if (!twin) return harness_error("the twin's scores are missing");
            add_difference(*twin, *theirs, false, compared.twin);
        }
    }
    const Json& first = by_request[0]->result;
    const Json hash = first.value("weights_hash", Json());
    if (hash.is_null() || hash != by_request[1]->result.value("weights_hash", Json())) {
        compared.weights_differ = 1;
    }
    compared.quantisation = first.value("quantisation", Json(""));
    return compared;
}

Json detail_of(const Context& context, const ServeQuestion& question, const Compared& compared) {
    Json lengths = Json::array();
    const auto asked = handoff_lengths(context);
    for (std::size_t i = 0; i < asked.size(); ++i) {
        lengths.push_back({{"length", asked[i]}, {"logprob_error_mean", compared.by_length[i]}});
    }
    return {{"dtype", question.dtype},
            {"lengths", std::move(lengths)},
            {"quantisation", compared.quantisation}};
}

Observation common(const Compared& compared) {
    const auto count = [](const char* name, double value) {
        return metric_of(name, value, "count");
    };
    return {count("weights_differ", static_cast<double>(compared.weights_differ)),
            count("texts_differ", static_cast<double>(compared.texts_differ)),
            count("nonfinite_logprobs", compared.nonfinite),
            count("unscored_tokens",
                  static_cast<double>(compared.device.unscored + compared.alone.unscored +
                                      compared.decode.unscored)),
            count("scored_tokens", compared.device.count()),
            count("decoded_tokens", compared.decode.count())};
}

Step handoff(const Context& context, const Json& state, std::span<const Answer> answers,
             const ServeQuestion& question) {
    if (parameter(context, "serve_weights", Json::value_t::object) == nullptr ||
        handoff_lengths(context).empty() || question.dtype.empty()) {
        return harness_error("the handoff needs weights, the length they reach and a dtype");
    }
    if (state.is_null()) {
        return Ask{.state = {{"asked", true}}, .requests = requests_of(context, question)};
    }
    const auto outcome = read(context, question, answers);
    if (const auto* reason = std::get_if<GiveUp>(&outcome)) return *reason;
    const Compared& compared = std::get<Compared>(outcome);
    Done done;
    done.detail = detail_of(context, question, compared);
    done.observation = common(compared);
    Observation& all = done.observation;
    const Difference& device = compared.device;
    add_metric(all, "logprob_error_mean", device.mean(), "nat", device);
    add_metric(all, "logprob_error_max", device.max(), "nat", device);
    add_metric(all, "likeliest_disagreement", device.disagreement(), "ratio", device);
    if (!question.with_twin) {
        add_metric(all, "alone_error_max", compared.alone.max(), "nat", compared.alone);
        add_metric(all, "decode_error_max", compared.decode.max(), "nat", compared.decode);
        return done;
    }
    const Difference& twin = compared.twin;
    add_metric(all, "logprob_error_mean_band", twin.mean(), "nat", twin);
    add_metric(all, "logprob_error_p99", device.p99(), "nat", device);
    add_metric(all, "logprob_error_p99_band", twin.p99(), "nat", twin);
    add_metric(all, "probability_error_mean", device.probability_mean(), "ratio", device);
    add_metric(all, "probability_error_mean_band", twin.probability_mean(), "ratio", twin);
    add_metric(all, "likeliest_disagreement_band", twin.disagreement(), "ratio", twin);
    add_metric(all, "logprob_shift", device.shift(), "nat", device);
    add_metric(all, "alone_error_mean", compared.alone.mean(), "nat", compared.alone);
    add_metric(all, "decode_error_mean", compared.decode.mean(), "nat", compared.decode);
    add_growth(all, compared.by_length, device);
    return done;
}

}  // namespace

Step handoff_fp32(const Context& context, const Json& state, std::span<const Answer> answers) {
    return handoff(context, state, answers, {.dtype = "fp32", .with_twin = false});
}

Step handoff_precision(const Context& context, const Json& state, std::span<const Answer> answers) {
    const Json* dtype = parameter(context, "serve_dtype", Json::value_t::string);
    return handoff(context, state, answers,
                   {.dtype = dtype == nullptr ? "" : dtype->get<std::string>(), .with_twin = true});
}

}  // namespace ascertain::checks
