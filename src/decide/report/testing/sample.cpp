#include "decide/report/testing/sample.hpp"

#include <fmt/format.h>

#include <cmath>

#include "base/random.hpp"
#include "base/text.hpp"

namespace ascertain::report::testing {
namespace {

using judge::CheckVerdict;
using judge::Status;
using judge::Weight;

// Appends a record as evidence would number it; the hash is a stand-in, the chain is not checked
// here.
std::string append(Sample& sample, std::string kind, Json body) {
    Record record;
    record.sequence = sample.records.size() + 1;
    record.kind = std::move(kind);
    record.time_utc = fmt::format("2026-11-25T02:{:02}:{:02}.000Z", record.sequence / 60 % 60,
                                  record.sequence % 60);
    record.hash = fmt::format("{0}{0}{0}{0}", short_hash(record.kind + body.dump()));
    record.body = std::move(body);
    sample.records.push_back(record);
    return record.id();
}

Json campaign() {
    return {{"model_config", "../models/deepseek-r1.json"},
            {"fleets", Json::array({{{"chip", "ascend-910b2"}, {"count", 8192}}})},
            {"decision", {{"finish_within_s", 90.0 * 86400.0}, {"budget_usd", 60e6}}}};
}

void begin(Sample& sample, const std::string& device) {
    evidence::SessionContext context;
    context.tool_version = "0.1.0";
    context.host = "bench-07";
    context.system = "Linux 6.1, Debian 12, x86-64";
    context.time_utc = "2026-11-25T02:15:29Z";
    context.campaign = campaign();
    context.devices = Json::array({{{"device", device}}});
    context.software = {{"torch", "2.13.0"}, {"driver", "25.2.0"}};
    append(sample, "context", evidence::to_json(context));
    sample.verdict.context = evidence::to_json(context);
    sample.verdict.profile = "quick";
    sample.verdict.scope = {"device", {device}, 0.047, context.software, ""};
}

void end(Sample& sample) {
    append(sample, "finished", evidence::to_json(evidence::SessionEnd{true, "", 171.0}));
}

// Adds the attempt behind `check`, and the check itself.
void add(Sample& sample, CheckVerdict check, Json detail, evidence::Outcome outcome) {
    evidence::Attempt attempt;
    attempt.check = check.id;
    attempt.device = check.device;
    attempt.seed = check.seed;
    attempt.outcome = outcome;
    attempt.message = outcome == evidence::Outcome::kCompleted ? "" : check.reason;
    attempt.observation = check.observation;
    attempt.detail = std::move(detail);
    attempt.reproduce = check.reproduce;
    attempt.started_utc = "2026-11-25T02:16:00Z";
    attempt.duration_s = check.duration_s;
    check.records = {append(sample, "attempt", evidence::to_json(attempt))};
    const auto question_of = [&](const std::string& key) -> judge::QuestionVerdict& {
        if (key == "endure") return sample.verdict.endure;
        if (key == "learn") return sample.verdict.learn;
        if (key == "finish") return sample.verdict.finish;
        if (key == "serve") return sample.verdict.serve;
        return sample.verdict.compute;
    };
    question_of(check.question).checks.push_back(check.id);
    if (check.required) sample.verdict.required.push_back(check.id);
    sample.verdict.checks.push_back(std::move(check));
}

CheckVerdict numerics(const std::string& name, const std::string& device, double error_ratio,
                      double share, Status status) {
    CheckVerdict check = simple_check("ops.numerics." + name, status,
                                      status == Status::kPassed ? Weight::kPass : Weight::kFail);
    check.device = device;
    check.observation = {
        {"error_ratio", error_ratio, "ratio", 65536, error_ratio * 0.93, error_ratio * 1.08, ""},
        {"share_not_correctly_rounded", share, "ratio", 65536, std::nullopt, std::nullopt, ""},
        {"error_max_ulp", error_ratio * 0.7, "ulp", 65536, std::nullopt, std::nullopt, ""},
        {"exact_mismatches", std::nullopt, "count", 0, std::nullopt, std::nullopt,
         "no integer output"}};
    check.criterion = {"ops.numerics.rounding",
                       Json::array({{{"metric", "error_ratio"}, {"at_most", 3.0}},
                                    {{"metric", "share_not_correctly_rounded"}, {"at_most", 0.02}},
                                    {{"metric", "error_max_ulp"}, {"at_most", 2.0}}}),
                       "derived from ideal rounding, docs/formulas.md#operator-metrics"};
    check.proof = "control";
    check.reproduce =
        fmt::format("ascertain ops --only ops.numerics.{} --device {} --seed 7", name, device);
    if (status != Status::kPassed) {
        check.reason =
            fmt::format("error_ratio is {:.3g}, above its bound 3, on two seeds.", error_ratio);
    }
    return check;
}

Json histogram(double width) {
    Json edges = Json::array();
    Json counts = Json::array();
    for (int i = 0; i <= 12; ++i) edges.push_back(0.25 * i * width);
    for (int i = 0; i < 12; ++i) counts.push_back(std::floor(40000.0 * std::exp(-0.9 * i)));
    const Json observation = Json::array({{{"metric", "error_max_ulp"}, {"value", 3.0 * width}}});
    return {{"rows", Json::array({{{"case", "c0ffee"},
                                   {"label", "bf16[512,7168] bf16[7168,1536]"},
                                   {"reference", "fp64"},
                                   {"worst",
                                    {{"output", 0},
                                     {"index", Json::array({17, 1201})},
                                     {"got", -0.0625},
                                     {"expected", 1.59375}}},
                                   {"observation", observation},
                                   {"histogram", {{"ulp_edges", edges}, {"counts", counts}}}}})}};
}

// A loss that falls to about 1 with noise of stream `stream`; from `broken` on it climbs to nan.
Json run(std::uint64_t stream, int steps, int broken) {
    Random random(1, stream);
    Json losses = Json::array();
    Json norms = Json::array();
    for (int i = 0; i < steps; ++i) {
        const double drift = i < broken ? 0.0 : 0.02 * (i - broken);
        const bool lost = broken < steps && i >= broken + 40;
        losses.push_back(
            lost ? Json() : Json(1.0 + 2.4 * std::exp(-i / 60.0) + 0.03 * random.normal() + drift));
        norms.push_back(lost ? Json()
                             : Json(std::exp(0.3 * random.normal()) *
                                    (0.4 + 2.0 * std::exp(-i / 30.0)) * (1.0 + drift)));
    }
    return {{"losses", losses}, {"grad_norms", norms}};
}

void foretell(Sample& sample, const std::string& check, const std::string& device, double value,
              double measured, bool calibrated) {
    evidence::Prediction prediction;
    prediction.id = check + ".seconds_median";
    prediction.check = check;
    prediction.device = device;
    prediction.metric = "seconds_median";
    prediction.value = value;
    prediction.low = value * 0.7;
    prediction.high = value * 1.4;
    prediction.unit = "s";
    prediction.calibrated = calibrated;
    prediction.basis = Json::array({{{"name", "peak"},
                                     {"value", 3.5e14},
                                     {"unit", "FLOP/s"},
                                     {"kind", "datasheet"},
                                     {"source", "vendor"}}});
    const std::string record = append(sample, "prediction", evidence::to_json(prediction));
    const bool inside = measured >= prediction.low && measured <= prediction.high;
    sample.verdict.comparisons.push_back(
        {prediction, measured, inside, !inside && calibrated, record});
}

Json projection() {
    return {{"schema", "ascertain.projection/1"},
            {"step", {{"step_s", 9.4}, {"low_s", 7.9}, {"high_s", 12.8}}},
            {"goodput",
             {{"waterfall", Json::array({{{"name", "checkpoint"}, {"ratio", 0.021}},
                                         {{"name", "detection"}, {"ratio", 0.014}},
                                         {{"name", "restart"}, {"ratio", 0.058}},
                                         {{"name", "rework"}, {"ratio", 0.047}},
                                         {{"name", "straggler"}, {"ratio", 0.039}},
                                         {{"name", "debugging"}, {"ratio", 0.11}},
                                         {{"name", "useful"}, {"ratio", 0.711}}})}}},
            {"finish_days",
             {{"p10", 81.0},
              {"p50", 104.0},
              {"p90", 151.0},
              {"histogram",
               {{"edges_days", Json::array({70, 80, 90, 100, 110, 120, 130, 140, 150, 160, 170})},
                {"histories", Json::array({31, 204, 410, 602, 555, 380, 240, 160, 90, 40})}}}}},
            {"deadline_days", 90.0},

            {"probability_of_deadline",
             {{"low", 0.05},
              {"mid", 0.22},
              {"high", 0.61},
              {"decided_by", "interruptions per device-hour, which nobody measured"}}},
            {"cost_usd", {{"p10", 41e6}, {"p50", 52e6}, {"p90", 77e6}}},
            {"energy_kwh", {{"p10", 9.1e6}, {"p50", 1.1e7}, {"p90", 1.6e7}}},
            {"tornado", Json::array({{{"name", "interruptions per device-hour"},
                                      {"finish_days_at_low", 84.0},
                                      {"finish_days_at_high", 143.0},
                                      {"kind", "guessed"},
                                      {"settled_by", "soak.steps"}},
                                     {{"name", "share of matrix peak"},
                                      {"finish_days_at_low", 90.0},
                                      {"finish_days_at_high", 124.0},
                                      {"kind", "published"},
                                      {"settled_by", "soak.steps"}},
                                     {{"name", "restart time"},
                                      {"finish_days_at_low", 99.0},
                                      {"finish_days_at_high", 111.0},
                                      {"kind", "guessed"},
                                      {"settled_by", "soak.steps"}}})},
            {"must_be_true", Json::array({{{"name", "interruptions per day"},
                                           {"unit", "1/d"},
                                           {"direction", "at_most"},
                                           {"now", 14.0},
                                           {"needed", 9.0}},
                                          {{"name", "restart time"},
                                           {"unit", "s"},
                                           {"direction", "at_most"},
                                           {"now", 600.0},
                                           {"needed", nullptr},
                                           {"reason", "even none at all is not enough"}}})},
            {"provenance", Json::array({{{"name", "bf16 peak"},
                                         {"value", 3.53e14},
                                         {"unit", "FLOP/s"},
                                         {"kind", "datasheet"},
                                         {"source", "vendor white paper"}},
                                        {{"name", "interruption rate"},
                                         {"value", 2.4e-9},
                                         {"unit", "1/s"},
                                         {"kind", "guessed"},
                                         {"source", "as Llama 3"}}})}};
}

// An open blocker makes the probability unknown, whatever the histories say.
Json blocked_projection() {
    Json document = projection();
    document["probability_of_deadline"] = {
        {"low", nullptr},
        {"mid", nullptr},
        {"high", nullptr},
        {"reason", "ops.numerics.bmm is wrong, and nobody knows how long that takes to mend"}};
    return document;
}

// Less tensor parallel is faster until it no longer fits.
Json landscape() {
    Json list = Json::array();
    for (int tp = 1; tp <= 8; tp *= 2)
        for (int pp = 1; pp <= 16; pp *= 2) {
            const double bytes = 1.2e10 + 4e12 / (tp * pp * 8.0) / 4.0;
            list.push_back({{"plan", fmt::format("tp{} pp{}", tp, pp)},
                            {"step_s", 11.0 + 0.4 * tp + 0.25 * pp},
                            {"memory_bytes", bytes},
                            {"fits", bytes < 6.4e10}});
        }
    return list;
}

Json plans() {
    Json list = Json::array();
    for (int i = 0; i < 4; ++i) {
        list.push_back({{"tp", 8},
                        {"pp", 16},
                        {"vpp", 1 + i % 2},
                        {"dp", 64},
                        {"cp", 1},
                        {"ep", 32},
                        {"etp", 1},
                        {"sharding", "zero-1"},
                        {"micro_batch", 1},
                        {"recompute", "selective"},
                        {"schedule", i % 2 == 0 ? "1f1b" : "interleaved"},
                        {"step_s", 9.4 + 0.7 * i},
                        {"memory_bytes", 5.1e10},
                        {"tokens_per_s", 6.7e6 - 3e5 * i},
                        {"mfu_ratio", 0.31 - 0.02 * i},
                        {"bound_by", "compute"},
                        {"low_s", 7.9 + 0.7 * i},
                        {"high_s", 12.8 + 0.7 * i},
                        {"parts",
                         {{"matrix_s", 5.1},
                          {"ep_exposed_s", 1.9},
                          {"bubble_s", 1.2},
                          {"dp_exposed_s", 0.7},
                          {"host_s", 0.0}}},
                        {"memory",
                         {{"pipeline_rank", 3},
                          {"weights_bytes", 1.1e10},
                          {"optimizer_bytes", 1.9e10},
                          {"activations_bytes", 1.6e10}}},
                        {"worse_because", i == 0 ? Json() : Json("the bubble is longer")}});
    }
    return {{"schema", "ascertain.plan/1"},
            {"considered", 21480},
            {"pruned", 21100},
            {"costed", 380},
            {"usable_bytes", 6.4e10},
            {"landscape", landscape()},
            {"plans", list}};
}

constexpr const char* kOperators[] = {"mm",
                                      "bmm",
                                      "addmm",
                                      "native_layer_norm",
                                      "_softmax",
                                      "embedding",
                                      "silu",
                                      "mul",
                                      "add",
                                      "cat",
                                      "topk",
                                      "index_select",
                                      "scatter_add",
                                      "_foreach_add",
                                      "nll_loss_forward",
                                      "sum"};

Json captured() {
    Json list = Json::array();
    double share = 0.41;
    for (const char* name : kOperators) {
        list.push_back({{"name", fmt::format("aten::{}", name)},
                        {"count", 24},
                        {"share_of_step", share},
                        {"compute", true}});
        share *= 0.62;
    }
    list.push_back({{"name", "aten::_grouped_mm"},
                    {"count", 4},
                    {"share_of_step", 0.03},
                    {"compute", true},
                    {"without_case_reason", "offsets are computed inside the step"}});
    list.push_back({{"name", "aten::view"}, {"count", 90}, {"compute", false}});
    return {{"operators", list}};
}

void add_operators(Sample& sample, const std::string& device, bool healthy) {
    CheckVerdict coverage = simple_check("ops.coverage", Status::kPassed, Weight::kPass);
    coverage.device = device;
    add(sample, coverage, captured(), evidence::Outcome::kCompleted);
    double error = 0.4;
    for (const char* name : kOperators) {
        const std::string_view is(name);
        const bool wrong = !healthy && (is == "bmm" || is == "_softmax");
        const double ratio = wrong ? 41.0 : error;
        add(sample,
            numerics(name, device, ratio, ratio / 400.0, wrong ? Status::kFailed : Status::kPassed),
            histogram(wrong ? 6.0 : 0.4), evidence::Outcome::kCompleted);
        error = error < 2.0 ? error * 1.11 : 0.5;
        CheckVerdict repeat =
            simple_check(fmt::format("ops.repeat.{}", name), Status::kPassed, Weight::kPass);
        repeat.device = device;
        if (!healthy && is == "scatter_add") {
            repeat.status = Status::kFlaky;
            repeat.weight = Weight::kFail;
            repeat.observation.front().value = 3.0;
            repeat.reason = "3 of 16 runs gave other bits for the same input.";
        }
        add(sample, repeat, Json::object(), evidence::Outcome::kCompleted);
    }
}

void add_training(Sample& sample, const std::string& device, bool healthy) {
    CheckVerdict curve = simple_check("trial.free_run", healthy ? Status::kPassed : Status::kFailed,
                                      healthy ? Weight::kPass : Weight::kFail);
    curve.question = "learn";
    curve.device = device;
    curve.duration_s = 31.0;
    if (!healthy)
        curve.reason = "The loss on the device is not finite from step 221 on; the reference's is.";
    add(sample, curve,
        {{"device", run(2, 300, healthy ? 300 : 180)}, {"reference", run(3, 300, 300)}},
        evidence::Outcome::kCompleted);
    CheckVerdict forced = simple_check("trial.teacher_forced", Status::kPassed, Weight::kPass);
    forced.question = "learn";
    forced.device = device;
    Json tensors = Json::array();
    for (int i = 0; i < 5; ++i) {
        tensors.push_back({{"name", fmt::format("layers.{}.mlp.down_proj.weight", i)},
                           {"relative_error", 2e-6 / (i + 1)},
                           {"one_minus_cosine", 3e-12 / (i + 1)}});
    }
    add(sample, forced, {{"tensors", tensors}}, evidence::Outcome::kCompleted);
}

CheckVerdict without_number(const std::string& id, const std::string& question,
                            const std::string& device, Status status, Weight weight,
                            const std::string& reason) {
    CheckVerdict check = simple_check(id, status, weight);
    check.question = question;
    check.device = device;
    check.observation.clear();
    check.reason = reason;
    check.proof.clear();
    return check;
}

}  // namespace

CheckVerdict simple_check(std::string id, Status status, Weight weight) {
    CheckVerdict check;
    check.id = std::move(id);
    check.device = "cpu";
    check.question = "compute";
    check.status = status;
    check.weight = weight;
    check.seed = 7;
    check.duration_s = 0.21;
    check.reproduce = "ascertain ops --only " + check.id + " --seed 7";
    check.observation = {{"distinct_outputs", 1.0, "count", 16, std::nullopt, std::nullopt, ""}};
    check.criterion = {"ops.repeat.bits",
                       Json::array({{{"metric", "distinct_outputs"}, {"equals", 1.0}}}),
                       "the same input gives the same bits"};
    check.proof = "control";
    return check;
}

Sample screened_cpu() {
    Sample sample;
    begin(sample, "cpu");
    evidence::RequiredSet set{
        "quick",
        "device",
        7,
        {},
        {"ops.numerics.conv2d: this model has none", "ops.layout: sampled out at quick"}};
    append(sample, "required", evidence::to_json(set));
    foretell(sample, "ops.speed.mm", "cpu", 0.0031, 0.0034, true);
    foretell(sample, "ops.speed.bmm", "cpu", 0.0009, 0.0021, false);
    append(sample, "plan", {{"stage", "pretrain"}, {"document", plans()}});
    append(sample, "projection", {{"document", projection()}});
    add_operators(sample, "cpu", true);
    add_training(sample, "cpu", true);
    add(sample,
        without_number("links.allreduce", "endure", "cpu", Status::kSkipped, Weight::kInconclusive,
                       "Skipped (resources): one device has no link."),
        Json::object(), evidence::Outcome::kSkipped);
    end(sample);
    auto& verdict = sample.verdict;
    verdict.verdict = judge::VerdictWord::kInconclusive;
    verdict.projection = projection();
    verdict.compute.status = verdict.learn.status = "PASS";
    verdict.compute.summary =
        "All 16 operators of the step are native, right and repeatable on cpu.";
    verdict.learn.summary = "300 steps on cpu follow the reference within its own noise.";
    verdict.endure.status = "INCONCLUSIVE";
    verdict.endure.summary = "No link was measured and no soak was run on this rung.";
    verdict.finish = {
        "INCONCLUSIVE", "104 d (81 d to 151 d) against 90 d: a projection, nothing measured.", {}};
    verdict.serve = {"NOT_ASKED", "No serving device was named.", {}};
    verdict.blockers = {
        {"links.allreduce",
         "Skipped (resources): one device has no link.",
         "Run `ascertain qualify --rung node` on a machine with two devices or more.",
         {sample.records.back().id()}},
        {"profile",
         "The quick profile screens: it can disqualify, it cannot qualify.",
         "Run `ascertain qualify --profile standard`.",
         {}}};
    verdict.next_rung = {
        "node", 4.0, {"links.allreduce", "whether eight devices stay right for half an hour"}};
    return sample;
}

Sample failing_device() {
    Sample sample;
    const std::string device = "npu:0";
    begin(sample, device);
    append(sample, "required",
           evidence::to_json(evidence::RequiredSet{"standard", "device", 7, {}, {}}));
    foretell(sample, "ops.speed.mm", device, 0.0031, 0.0092, true);
    foretell(sample, "ops.speed.bmm", device, 0.0009, 0.0010, true);
    append(sample, "plan", {{"stage", "pretrain"}, {"document", plans()}});
    append(sample, "projection", {{"document", blocked_projection()}});
    add_operators(sample, device, false);
    add_training(sample, device, false);
    add(sample,
        without_number("soak.steps", "endure", device, Status::kTimedOut, Weight::kFail,
                       "The device hung twice, after 212 s and 187 s; the control ended in time."),
        Json::object(), evidence::Outcome::kTimedOut);
    add(sample,
        without_number("handoff.logprobs", "serve", device, Status::kCrashed, Weight::kInconclusive,
                       "The worker died with signal 11 while loading."),
        Json::object(), evidence::Outcome::kCrashed);
    end(sample);
    auto& verdict = sample.verdict;
    verdict.profile = "standard";
    verdict.verdict = judge::VerdictWord::kNotQualified;
    verdict.projection = blocked_projection();
    verdict.compute.status = verdict.learn.status = verdict.endure.status = "FAIL";
    verdict.compute.summary =
        "bmm and _softmax are wrong, scatter_add is not repeatable; 13 of 16 operators are right.";
    verdict.learn.summary =
        "The run on npu:0 leaves the reference at step 180 and is lost at step 221.";
    verdict.endure.summary = "The device hung twice within four minutes.";
    verdict.finish = {"INCONCLUSIVE", "Unknown while a blocker is open.", {}};
    verdict.serve.status = "INCONCLUSIVE";
    verdict.serve.summary = "The serving worker crashed before it answered.";
    for (const CheckVerdict& check : verdict.checks) {
        if (check.weight != Weight::kFail) continue;
        verdict.blockers.push_back(
            {check.id, check.reason,
             "Hand the vendor the script beside the evidence; `ascertain explain " + check.id +
                 "` ranks known causes.",
             check.records});
    }
    verdict.context["causes_compared"] = 97;
    verdict.context["causes"] = {{{"id", "TT-004"},
                                  {"class", "precision"},
                                  {"likeness", 0.71},
                                  {"summary", "Partial sums over k are kept in bf16."},
                                  {"source", "tt-metal #4711"},
                                  {"remedy", nullptr}}};
    verdict.waivers = {{"ops.repeat.index_select", "R. Okafor", "2027-01-31",
                        "Not used by the deterministic recipe."}};
    verdict.next_rung = {
        "node", std::nullopt, {"nothing before the failures of this rung are mended"}};
    return sample;
}

Sample nothing() {
    return {};
}

Sample hostile() {
    Sample sample = screened_cpu();
    const std::string attack = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    auto& verdict = sample.verdict;
    CheckVerdict check = simple_check("ops.numerics." + attack, Status::kFailed, Weight::kFail);
    check.device = "🦊 \xE2\x80\xAEnpu</td>" + attack;
    check.reason = attack + std::string(1 << 20, 'A') + "\x01\xFF";
    check.reproduce = attack;
    check.observation = {{attack, std::nan(""), attack, 1, std::nullopt, std::nullopt, attack},
                         {"error_ratio", 1e300, "ratio", 1, std::nullopt, std::nullopt, ""}};
    check.criterion = {
        attack, Json::array({{{"metric", "error_ratio"}, {"at_most", 3.0}}, attack, nullptr}),
        attack};
    check.proof = attack;
    check.records = {attack, "r999999"};
    verdict.checks.push_back(check);
    verdict.required.push_back(check.id);
    verdict.blockers.push_back({check.id, attack, attack, {attack}});
    verdict.waivers.push_back({attack, attack, attack, attack});
    verdict.scope.devices.push_back(attack);
    verdict.scope.software = {{attack, attack}};
    verdict.next_rung.settles.push_back(attack);
    verdict.context["causes"] = {
        attack, 7, {{"id", attack}, {"likeness", attack}, {"remedy", attack}}};
    append(sample, attack, {{"message", attack}});
    append(sample, "attempt", {{"check", 7}});
    return sample;
}

}  // namespace ascertain::report::testing
