#include "predict/goodput/projection.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <iterator>
#include <numeric>

#include "base/random.hpp"
#include "predict/goodput/inputs.hpp"
#include "predict/goodput/projection_json.hpp"
#include "predict/goodput/published.hpp"

namespace ascertain::goodput {
namespace {

using testing::HasSubstr;

constexpr double kDay = 86400.0;

std::string read_file(const std::string& below_root) {
    std::ifstream in(std::string(ASCERTAIN_SOURCE_DIR) + "/" + below_root);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// 2,048 devices, 20 days of ideal work, published beliefs, small effort.
ProjectionInput small_campaign() {
    auto read = parse_defaults(read_file("data/reliability/defaults.toml"), "defaults.toml",
                               Platform::kPublished);
    EXPECT_TRUE(read.ok()) << read.error().text();
    ProjectionInput input = *read;
    input.stages = {{.kind = "pretrain",
                     .steps = 20.0 * kDay / 10.0,
                     .step_s = {9.5, 10.0, 10.6, Kind::kMeasured, "trial"}}};
    input.devices = 2048;
    input.spare_nodes = 16;
    input.beliefs.checkpoint_bytes = certain(2e12, "model");
    input.beliefs.rent_usd_per_device_hour = Uncertain{1.8, 2.0, 2.5, Kind::kPublished, "offers"};
    input.beliefs.power_w_per_device = Uncertain{600, 700, 800, Kind::kDatasheet, "vendor"};
    input.deadline_s = 40.0 * kDay;
    input.budget_usd = 10e6;
    input.belief_draws = 32;
    input.histories_per_draw = 8;
    return input;
}

Projection projected(const ProjectionInput& input) {
    auto result = project(input);
    EXPECT_TRUE(result.ok()) << result.error().text();
    return result ? *result : Projection{};
}

// Every belief collapsed to its middle: only luck is left.
void make_certain(ProjectionInput& input) {
    for (std::size_t i = kDetection; i < kInputs; ++i) {
        if (Uncertain* field = field_of(input.beliefs, static_cast<Input>(i))) {
            *field = certain(field->mid, "test");
        }
    }
    input.stages[0].step_s = certain(10.0, "test");
    input.failure.rate = {2.83e6, 97'400e6};
}

TEST(Projection, AnswersWithOrderedNumbersThatAddUp) {
    const Projection projection = projected(small_campaign());
    const DeadlineProbability& deadline = projection.deadline;
    ASSERT_TRUE(deadline.low && deadline.mid && deadline.high);
    EXPECT_LE(*deadline.low, *deadline.mid);
    EXPECT_LE(*deadline.mid, *deadline.high);
    ASSERT_TRUE(projection.finish_days.p10 && projection.finish_days.p90);
    EXPECT_GE(*projection.finish_days.p10, projection.ideal_days * 0.9);
    EXPECT_LT(*projection.finish_days.p10, *projection.finish_days.p50);
    EXPECT_LT(*projection.finish_days.p50, *projection.finish_days.p90);
    double sum = 0.0;
    for (const WaterfallPart& part : projection.waterfall) {
        EXPECT_GE(part.ratio, -1e-9) << part.name;
        sum += part.ratio;
    }
    EXPECT_NEAR(sum, 1.0, 1e-9);
    EXPECT_EQ(projection.failure_prior_share, 1.0);
    EXPECT_FALSE(projection.trace.empty());
    const auto binned = std::accumulate(projection.finish_days_histogram.begin(),
                                        projection.finish_days_histogram.end(), std::int64_t{0});
    EXPECT_EQ(binned,
              std::llround(projection.finished_ratio * static_cast<double>(projection.histories)));
}

// Rent: devices and spares x hours x price. Everything certain, so cost follows the date.
TEST(Projection, CostAndEnergyFollowTheDate) {
    ProjectionInput input = small_campaign();
    make_certain(input);
    input.beliefs.rent_usd_per_device_hour = certain(2.0, "test");
    input.beliefs.power_w_per_device = certain(700.0, "test");
    input.idle_power_ratio = 1.0;
    const Projection projection = projected(input);
    const double device_hours = (2048.0 + 128.0) * 24.0 * *projection.finish_days.p50;
    EXPECT_NEAR(*projection.cost_usd.p50, 2.0 * device_hours, 1.0);
    EXPECT_NEAR(*projection.energy_kwh.p50, 0.7 * 1.25 * device_hours, 1.0);
    EXPECT_EQ(*projection.probability_within_budget, 1.0);
    // Capex: written off over 4 years, plus power.
    input.beliefs.rent_usd_per_device_hour.reset();
    input.beliefs.capex_usd_per_device =
        certain(35'064.0, "test");  // one dollar per hour of 4 years
    input.beliefs.usd_per_kwh = certain(0.1, "test");
    EXPECT_NEAR(*projected(input).cost_usd.p50, device_hours * (1.0 + 0.1 * 0.7 * 1.25), 2.0);
}

TEST(Projection, WithoutAPriceTheCostIsNullWithAReason) {
    ProjectionInput input = small_campaign();
    input.beliefs.rent_usd_per_device_hour.reset();
    input.beliefs.power_w_per_device.reset();
    const Projection projection = projected(input);
    EXPECT_FALSE(projection.cost_usd.p50.has_value());
    EXPECT_THAT(projection.cost_usd.reason, HasSubstr("price"));
    EXPECT_THAT(projection.energy_kwh.reason, HasSubstr("power"));
    EXPECT_FALSE(projection.probability_within_budget.has_value());
}

TEST(Projection, FarDeadlineIsLikelyNearOneUnlikely) {
    ProjectionInput input = small_campaign();
    input.deadline_s = 300.0 * kDay;
    EXPECT_EQ(projected(input).answer, Answer::kLikely);
    input.deadline_s = 15.0 * kDay;  // less than the work itself
    const Projection projection = projected(input);
    EXPECT_EQ(projection.answer, Answer::kUnlikely);
    EXPECT_EQ(*projection.deadline.high, 0.0);
}

TEST(Projection, AnOpenBlockerMakesTheProbabilityUnknown) {
    ProjectionInput input = small_campaign();
    input.deadline_s = 300.0 * kDay;  // LIKELY but for the blocker
    input.blockers = {{"ops.numerics.matmul", "wrong on odd tails"}};
    const Projection projection = projected(input);
    EXPECT_EQ(projection.answer, Answer::kUnknown);
    EXPECT_FALSE(projection.deadline.low || projection.deadline.mid || projection.deadline.high);
    EXPECT_THAT(projection.deadline.reason, HasSubstr("ops.numerics.matmul"));
    EXPECT_TRUE(projection.finish_days.p50.has_value());  // the date stays, as what it is
}

TEST(Projection, AGuessThatDecidesMakesTheAnswerUnknownAndNamesItsCheck) {
    ProjectionInput input = small_campaign();
    make_certain(input);
    input.stages[0].step_s = {6.0, 10.0, 30.0, Kind::kGuessed, "nobody measured"};
    const Projection projection = projected(input);
    EXPECT_EQ(projection.answer, Answer::kUnknown);
    EXPECT_EQ(projection.deadline.decided_by, "step");
    EXPECT_EQ(projection.deadline.decided_by_kind, Kind::kGuessed);
    EXPECT_THAT(projection.deadline.settled_by, HasSubstr("trial"));
    // The same number, measured, and the answer is there.
    input.stages[0].step_s = {9.9, 10.0, 10.1, Kind::kMeasured, "trial"};
    EXPECT_EQ(projected(input).answer, Answer::kLikely);
}

TEST(Projection, ANumberNobodyMeasuredGetsAnIntervalOfItsKind) {
    ProjectionInput input = small_campaign();
    input.stages[0].step_s = {10.0, 10.0, 10.0, Kind::kGuessed, "back of an envelope"};
    const Projection projection = projected(input);
    const Provenance& step = projection.provenance.front();
    EXPECT_EQ(step.name, "step_s.pretrain");
    EXPECT_EQ(step.low, 5.0);
    EXPECT_EQ(step.high, 20.0);
    EXPECT_EQ(widened({3.0, 3.0, 3.0, Kind::kMeasured, ""}).high, 3.0);
    EXPECT_EQ(widened({4.0, 4.0, 4.0, Kind::kDatasheet, ""}).high, 5.0);
}

TEST(Projection, EveryInputSaysWhatItRestsOn) {
    const Projection projection = projected(small_campaign());
    EXPECT_GE(projection.provenance.size(), 25u);
    for (const Provenance& input : projection.provenance) {
        EXPECT_FALSE(input.source.empty()) << input.name;
        EXPECT_FALSE(input.unit.empty()) << input.name;
        EXPECT_LE(input.low, input.value) << input.name;
        EXPECT_LE(input.value, input.high) << input.name;
    }
}

TEST(Projection, SoakEvidenceMovesTheRateAndThePriorsShare) {
    ProjectionInput input = small_campaign();
    const double before = belief_of(input, kFailureRate)->mid;
    input.soak = {0.0, 500'000.0};
    EXPECT_LT(belief_of(input, kFailureRate)->mid, before);
    EXPECT_EQ(belief_of(input, kFailureRate)->kind, Kind::kMeasured);
    EXPECT_NEAR(projected(input).failure_prior_share, 97'400.0 / 597'400.0, 1e-12);
    input.soak = {50.0, 500'000.0};
    EXPECT_GT(belief_of(input, kFailureRate)->mid, before);
}

TEST(Projection, FindingsOfTheQualificationChangeTheDefectsLeft) {
    ProjectionInput input = small_campaign();
    input.findings = {0.0, 30.0, 0.8};
    EXPECT_LT(belief_of(input, kDefects)->mid, input.beliefs.defects_outstanding.mid);
    input.findings = {40.0, 5.0, 0.8};
    EXPECT_GT(belief_of(input, kDefects)->mid, input.beliefs.defects_outstanding.mid);
}

// The thresholds are where the probability crosses the confidence: a little beyond must hold, a
// little short must not (within the noise of the histories).
TEST(Projection, MustBeTrueAreThresholds) {
    ProjectionInput input = small_campaign();
    make_certain(input);
    input.belief_draws = 48;
    input.histories_per_draw = 64;
    input.deadline_s = 26.0 * kDay;
    const Projection projection = projected(input);
    bool found = false;
    for (const MustBeTrue& must : projection.must_be_true) {
        EXPECT_TRUE(must.needed.has_value() != !must.reason.empty() || !must.reason.empty());
        if (must.name != "step_time" || !must.needed) continue;
        found = true;
        input.stages[0].step_s = certain(*must.needed * 0.98, "test");
        EXPECT_GE(*projected(input).deadline.mid, 0.85);
        input.stages[0].step_s = certain(*must.needed * 1.04, "test");
        EXPECT_LT(*projected(input).deadline.mid, 0.9);
    }
    EXPECT_TRUE(found);
}

TEST(Projection, MustBeTrueSaysWhenOneLeverIsNotEnough) {
    ProjectionInput input = small_campaign();
    input.deadline_s = 15.0 * kDay;  // less than the work: no MTBF helps
    const Projection projection = projected(input);
    for (const MustBeTrue& must : projection.must_be_true) {
        if (must.name == "mtbf_per_device" || must.name == "spare_nodes") {
            EXPECT_FALSE(must.needed.has_value());
            EXPECT_THAT(must.reason, HasSubstr("not by this alone"));
        }
        if (must.name == "step_time") {
            EXPECT_LT(*must.needed, must.now);
        }
        if (must.name == "finish_within") {
            EXPECT_GT(*must.needed, projection.ideal_days);
        }
    }
}

TEST(Projection, SameSeedSameAnswerOnAnyNumberOfThreads) {
    ProjectionInput input = small_campaign();
    input.threads = 1;
    const std::string one = to_json(projected(input), {}, {}).dump();
    input.threads = 3;
    EXPECT_EQ(one, to_json(projected(input), {}, {}).dump());
    input.seed = 2;
    EXPECT_NE(one, to_json(projected(input), {}, {}).dump());
}

TEST(Projection, StepSharesAppearInTheWaterfall) {
    ProjectionInput input = small_campaign();
    input.step_shares = {{"bubble", 0.1}, {"exposed_communication", 0.2}};
    const Projection projection = projected(input);
    EXPECT_EQ(projection.waterfall[0].name, "useful");
    EXPECT_EQ(projection.waterfall[1].name, "bubble");
    EXPECT_NEAR(projection.waterfall[1].ratio, 0.1 * projection.goodput_ratio, 1e-12);
    EXPECT_NEAR(projection.waterfall[0].ratio, 0.7 * projection.goodput_ratio, 1e-12);
}

TEST(Projection, TokensBecomeSteps) {
    ProjectionInput input = small_campaign();
    make_certain(input);
    input.stages = {{.kind = "pretrain",
                     .tokens = 1e12,
                     .tokens_per_step = 16e6,
                     .step_s = certain(10.0, "test")}};
    EXPECT_NEAR(projected(input).ideal_days, 62'500.0 * 10.0 / kDay, 1e-9);
}

TEST(Projection, FasterLinksAreALeverWhenTheStepSaysSo) {
    ProjectionInput input = small_campaign();
    make_certain(input);
    input.deadline_s = 23.0 * kDay;
    input.step_shares = {{"exposed_communication", 0.4}};
    for (const MustBeTrue& must : projected(input).must_be_true) {
        if (must.name != "exposed_communication") continue;
        EXPECT_EQ(must.now, 0.4);
        ASSERT_TRUE(must.needed.has_value()) << must.reason;
        EXPECT_LT(*must.needed, 0.4);
        return;
    }
    FAIL() << "no such lever";
}

TEST(Projection, FasterAnswersAreALeverWhereStagesWaitForThem) {
    ProjectionInput input = small_campaign();
    make_certain(input);
    input.stages[0].rollout_s = 4.0;  // of 10
    input.step_shares = {{"bubble", 0.5}};
    input.deadline_s = 23.0 * kDay;
    const Projection projection = projected(input);
    const auto must = std::ranges::find(projection.must_be_true, "rollout_time", &MustBeTrue::name);
    ASSERT_NE(must, projection.must_be_true.end());
    EXPECT_EQ(must->now, 4.0);
    ASSERT_TRUE(must->needed.has_value()) << must->reason;
    EXPECT_LT(*must->needed, 4.0);
    // Answers are their own part of the useful time; the bubble is one of training's.
    EXPECT_EQ(projection.waterfall[1].name, "rollout");
    EXPECT_NEAR(projection.waterfall[1].ratio, 0.4 * projection.goodput_ratio, 1e-12);
    EXPECT_EQ(projection.waterfall[2].name, "bubble");
    EXPECT_NEAR(projection.waterfall[2].ratio, 0.6 * 0.5 * projection.goodput_ratio, 1e-12);
    // A step that writes no answers has nothing to gain, and says so.
    input.stages[0].rollout_s = 0.0;
    const Projection without = projected(input);
    const auto idle = std::ranges::find(without.must_be_true, "rollout_time", &MustBeTrue::name);
    ASSERT_NE(idle, without.must_be_true.end());
    EXPECT_FALSE(idle->needed.has_value());
}

TEST(Projection, LossesByCauseAreTheWaterfallsLosses) {
    const Projection projection = projected(small_campaign());
    double by_cause = 0.0;
    for (const WaterfallPart& part : projection.lost_to) by_cause += part.ratio;
    double by_share = 0.0;
    for (const WaterfallPart& part : projection.waterfall) {
        for (const std::string_view name : {"rework", "detection", "spares", "restart", "debugging",
                                            "maintenance", "outage", "stage_change"}) {
            if (part.name == name) by_share += part.ratio;
        }
    }
    EXPECT_GT(by_cause, 0.0);
    EXPECT_NEAR(by_cause, by_share, 1e-9);
    EXPECT_EQ(projection.lost_to.front().name, "chip");
    EXPECT_EQ(projection.lost_to.back().name, "planned");
}

TEST(Projection, TheMtbfNeededComesWithTheSoakThatWouldShowIt) {
    ProjectionInput input = small_campaign();
    input.deadline_s = 27.0 * kDay;
    const Projection projection = projected(input);
    for (const MustBeTrue& must : projection.must_be_true) {
        if (must.name != "mtbf_per_device" || !must.needed) continue;
        ASSERT_TRUE(must.device_hours_to_prove.has_value());
        const GammaRate then = updated(input.failure.rate, {0.0, *must.device_hours_to_prove});
        EXPECT_GE(then.probability_at_most(1.0 / *must.needed), 0.9 - 1e-6);
        return;
    }
    FAIL() << "no threshold for the MTBF";
}

TEST(Projection, OperationsAreOneBarOfTheTornado) {
    ProjectionInput input = small_campaign();
    const auto has_operations = [](const Projection& projection) {
        return std::any_of(projection.tornado.begin(), projection.tornado.end(),
                           [](const TornadoBar& bar) { return bar.name == "operations"; });
    };
    EXPECT_TRUE(has_operations(projected(input)));
    input.operations_correlation = 0.0;
    EXPECT_FALSE(has_operations(projected(input)));
}

// ---- hostile inputs -----------------------------------------------------------------------------

struct Broken {
    const char* where;
    void (*change)(ProjectionInput&);
};

TEST(Projection, NamesTheAbsurdField) {
    const Broken cases[] = {
        {"fleet.count", [](ProjectionInput& i) { i.devices = 0; }},
        {"fleet.count", [](ProjectionInput& i) { i.devices = -5; }},
        {"stages", [](ProjectionInput& i) { i.stages.clear(); }},
        {"stages.pretrain", [](ProjectionInput& i) { i.stages[0].steps = -1; }},
        {"stages.pretrain", [](ProjectionInput& i) { i.stages[0].steps = NAN; }},
        {"stages.pretrain", [](ProjectionInput& i) { i.stages[0].steps = 1e15; }},
        {"stages.pretrain.step_s", [](ProjectionInput& i) { i.stages[0].step_s = {}; }},
        {"stages.pretrain.step_s", [](ProjectionInput& i) { i.stages[0].step_s.low = 99; }},
        {"failure_prior", [](ProjectionInput& i) { i.failure.rate = {}; }},
        {"failure_prior", [](ProjectionInput& i) { i.failure.rate.a = NAN; }},
        {"soak", [](ProjectionInput& i) { i.soak.device_hours = -1; }},
        {"findings", [](ProjectionInput& i) { i.findings.found = -1; }},
        {"restart_s", [](ProjectionInput& i) { i.beliefs.restart_s = {}; }},
        {"detection_s", [](ProjectionInput& i) { i.beliefs.detection_s.low = -1; }},
        {"repair_s", [](ProjectionInput& i) { i.beliefs.repair_s.high = INFINITY; }},
        {"write_bytes_per_s", [](ProjectionInput& i) { i.beliefs.write_bytes_per_s = {}; }},
        {"rent_usd_per_device_hour",
         [](ProjectionInput& i) { i.beliefs.rent_usd_per_device_hour->low = -2; }},
        {"decision.finish_within", [](ProjectionInput& i) { i.deadline_s = 0.0; }},
        {"decision.finish_within", [](ProjectionInput& i) { i.deadline_s = NAN; }},
        {"decision.budget", [](ProjectionInput& i) { i.budget_usd = -1.0; }},
        {"decision.confidence", [](ProjectionInput& i) { i.confidence = 1.0; }},
        {"step_shares",
         [](ProjectionInput& i) {
             i.step_shares = {{"a", 0.6}, {"b", 0.6}};
         }},
        {"failure.classes", [](ProjectionInput& i) { i.failures.clear(); }},
        {"failure.classes", [](ProjectionInput& i) { i.failures[0].share = 0.9; }},
        {"spare_nodes", [](ProjectionInput& i) { i.spare_nodes = -1; }},
        {"stages.pretrain.devices", [](ProjectionInput& i) { i.stages[0].devices = 4096; }},
        {"histories", [](ProjectionInput& i) { i.belief_draws = 0; }},
    };
    for (const Broken& broken : cases) {
        ProjectionInput input = small_campaign();
        broken.change(input);
        const auto result = project(input);
        ASSERT_FALSE(result.ok()) << broken.where;
        EXPECT_EQ(result.error().where, broken.where) << result.error().text();
    }
}

TEST(Projection, OneDeviceAndAMillionGetAnswersNotNans) {
    for (const std::int64_t devices : {1L, 3L, 1'000'000L}) {
        ProjectionInput input = small_campaign();
        input.devices = devices;
        input.belief_draws = 8;
        input.histories_per_draw = 2;
        const Projection projection = projected(input);
        ASSERT_TRUE(projection.deadline.mid.has_value());
        EXPECT_GE(*projection.deadline.mid, 0.0);
        EXPECT_LE(*projection.deadline.mid, 1.0);
        for (const WaterfallPart& part : projection.waterfall) {
            EXPECT_TRUE(std::isfinite(part.ratio)) << part.name;
        }
    }
}

// Random absurdities in any field: an error that names a field, or an answer made of finite
// numbers.
TEST(Projection, RandomAbsurditiesEndInAnErrorOrAnAnswer) {
    Random random(4, 4);
    const double wild[] = {0.0, -1.0, 1e-300, 1e-9, 1e9, 1e300, NAN, INFINITY, -INFINITY, 0.5, 7.0};
    const auto any = [&] { return wild[random.below(std::size(wild))]; };
    int answered = 0;
    for (int i = 0; i < 300; ++i) {
        ProjectionInput input = small_campaign();
        input.belief_draws = 4;
        input.histories_per_draw = 1;
        for (int k = 0; k < 2; ++k) {
            switch (random.below(9)) {
                case 0:
                    input.stages[0].step_s = {any(), any(), any(), Kind::kGuessed, "wild"};
                    break;
                case 1: input.stages[0].steps = any(); break;
                case 2: input.failure.rate = {any(), any()}; break;
                case 3: input.soak = {any(), any()}; break;
                case 4: input.deadline_s = any(); break;
                case 5: input.devices = static_cast<std::int64_t>(random.below(3)) * 499'999; break;
                case 6: input.checkpoint_interval_s = any(); break;
                case 7: input.findings = {any(), any(), any()}; break;
                default: {
                    const auto row = static_cast<Input>(kDetection + random.below(22));
                    const double value = any();
                    *field_of(input.beliefs, row) = {value, value, value, Kind::kGuessed, "wild"};
                }
            }
        }
        const auto result = project(input);
        if (!result) {
            EXPECT_FALSE(result.error().where.empty()) << result.error().text();
            continue;
        }
        ++answered;
        double sum = 0.0;
        for (const WaterfallPart& part : result->waterfall) sum += part.ratio;
        EXPECT_NEAR(sum, 1.0, 1e-6);
        if (result->deadline.mid) {
            EXPECT_GE(*result->deadline.low, 0.0);
            EXPECT_LE(*result->deadline.high, 1.0);
        }
    }
    EXPECT_GT(answered, 30);
}

// Devices that fail every few minutes, all of them needed: it never ends, and the document says so.
TEST(Projection, ACampaignThatNeverFinishesIsToldSo) {
    ProjectionInput input = small_campaign();
    input.failure.rate = {1e4, 1e4};  // once an hour each, no doubt about it
    input.belief_draws = 8;
    input.histories_per_draw = 2;
    const Projection projection = projected(input);
    EXPECT_EQ(projection.finished_ratio, 0.0);
    EXPECT_EQ(projection.answer, Answer::kUnlikely);
    EXPECT_FALSE(projection.finish_days.p10.has_value());
    EXPECT_THAT(projection.finish_days.reason, HasSubstr("did not finish"));
    EXPECT_THAT(projection.cost_usd.reason, HasSubstr("did not finish"));
}

// ---- the document -------------------------------------------------------------------------------

// The part of JSON Schema that our schema uses.
class Validator {
public:
    explicit Validator(const Json& schema) : root_(schema) {}

    std::vector<std::string> problems(const Json& document) {
        check(document, root_, "");
        return problems_;
    }

private:
    static bool has_type(const Json& value, const std::string& type) {
        if (type == "object") return value.is_object();
        if (type == "array") return value.is_array();
        if (type == "string") return value.is_string();
        if (type == "integer") return value.is_number_integer();
        if (type == "number") return value.is_number();
        return type == "null" && value.is_null();
    }

    void check(const Json& value, const Json& schema, const std::string& place) {
        if (schema.contains("$ref")) {
            const std::string name = schema["$ref"].get<std::string>().substr(8);  // "#/$defs/"
            return check(value, root_["$defs"][name], place);
        }
        const auto problem = [&](const std::string& text) {
            problems_.push_back(place + ": " + text);
        };
        if (schema.contains("const") && value != schema["const"]) problem("not the constant");
        if (schema.contains("enum")) {
            const Json& allowed = schema["enum"];
            if (std::find(allowed.begin(), allowed.end(), value) == allowed.end())
                problem("not in enum");
        }
        if (schema.contains("type")) {
            const Json types = schema["type"].is_array() ? schema["type"] : Json{schema["type"]};
            bool any = false;
            for (const Json& type : types) any = any || has_type(value, type.get<std::string>());
            if (!any) problem("wrong type");
        }
        if (value.is_number()) {
            if (schema.contains("minimum") && value < schema["minimum"]) problem("too small");
            if (schema.contains("maximum") && value > schema["maximum"]) problem("too large");
        }
        if (value.is_object() && schema.contains("properties")) {
            for (const Json& key : schema["required"]) {
                if (!value.contains(key.get<std::string>())) problem("misses " + key.dump());
            }
            for (const auto& [key, member] : value.items()) {
                if (!schema["properties"].contains(key)) {
                    problem("unknown " + key);
                } else {
                    check(member, schema["properties"][key], place + "/" + key);
                }
            }
        }
        if (value.is_array() && schema.contains("items")) {
            for (const Json& item : value) check(item, schema["items"], place + "[]");
        }
    }

    const Json& root_;
    std::vector<std::string> problems_;
};

TEST(ProjectionJson, EveryEmittedDocumentFitsItsSchema) {
    const auto schema = parse_json(read_file("data/schema/projection.schema.json"), "schema");
    ASSERT_TRUE(schema.ok()) << schema.error().text();
    ProjectionInput plain = small_campaign();
    ProjectionInput blocked = small_campaign();
    blocked.blockers = {{"links.allreduce", "wrong data"}};
    ProjectionInput bare = small_campaign();
    bare.deadline_s.reset();
    bare.budget_usd.reset();
    bare.beliefs.rent_usd_per_device_hour.reset();
    bare.beliefs.power_w_per_device.reset();
    ProjectionInput hopeless = small_campaign();
    hopeless.failure.rate = {1e4, 1e4};
    hopeless.belief_draws = 4;
    for (const ProjectionInput& input : {plain, blocked, bare, hopeless}) {
        const Json document = to_json(projected(input), {{"step_s", 10.0}}, nullptr);
        EXPECT_THAT(Validator(*schema).problems(document), testing::IsEmpty());
    }
}

TEST(ProjectionJson, TheValidatorSeesWhatIsWrong) {
    const auto schema = parse_json(read_file("data/schema/projection.schema.json"), "schema");
    ASSERT_TRUE(schema.ok());
    Json document = to_json(projected(small_campaign()), {}, {});
    document["probability_of_deadline"]["low"] = 1.5;
    document["answer"] = "MAYBE";
    document["extra"] = 1;
    document.erase("tornado");
    EXPECT_THAT(Validator(*schema).problems(document), testing::SizeIs(4));
}

}  // namespace
}  // namespace ascertain::goodput
