#include "app/qualify/learnt.hpp"

#include <gtest/gtest.h>

#include "decide/evidence/records.hpp"

namespace ascertain::app {
namespace {

evidence::Record attempt(const std::string& check, double duration_s, Observation observation = {},
                         evidence::Role role = evidence::Role::kMeasure) {
    evidence::Attempt body;
    body.check = check;
    body.device = "npu:0";
    body.role = role;
    body.outcome = evidence::Outcome::kCompleted;
    body.duration_s = duration_s;
    body.observation = std::move(observation);
    evidence::Record record;
    record.kind = "attempt";
    record.body = evidence::to_json(body);
    return record;
}

judge::CheckVerdict failing(const std::string& id, bool required) {
    judge::CheckVerdict check;
    check.id = id;
    check.weight = judge::Weight::kFail;
    check.required = required;
    check.reason = "wrong";
    return check;
}

TEST(Learnt, SoaksFindingsAndBlockersReachTheProjection) {
    const Metric hours{"device_hours", 40.0, "h", 1, {}, {}, {}};
    const Metric failures{"failures", 2.0, "count", 1, {}, {}, {}};
    const std::vector<evidence::Record> records{
        attempt("ops.numerics", 43'200.0), attempt("soak.model", 43'200.0, {hours, failures}),
        attempt("ops.numerics", 1e6, {}, evidence::Role::kControl)};
    judge::Verdict verdict;
    // One check on two devices is one defect; what is not required blocks nothing but was found.
    verdict.checks = {failing("ops.numerics", true), failing("ops.numerics", true),
                      failing("ops.repeat", false)};
    const Measured measured = learnt_from(records, verdict, "node");
    EXPECT_DOUBLE_EQ(measured.soak.device_hours, 40.0);
    EXPECT_DOUBLE_EQ(measured.soak.failures, 2.0);
    EXPECT_DOUBLE_EQ(measured.findings.found, 2.0);
    EXPECT_DOUBLE_EQ(measured.findings.exposure_days, 1.0);  // controls are no exposure
    EXPECT_DOUBLE_EQ(measured.findings.reach_ratio, 0.5);
    EXPECT_EQ(measured.blockers.size(), 2u);
    EXPECT_GT(learnt_from(records, verdict, "fleet").findings.reach_ratio, 0.9);
}

TEST(Learnt, NothingMeasuredTeachesNothing) {
    const Measured measured = learnt_from({}, {}, "device");
    EXPECT_FALSE(measured.findings.any());
    EXPECT_EQ(measured.soak.device_hours, 0.0);
    EXPECT_TRUE(measured.blockers.empty());
}

}  // namespace
}  // namespace ascertain::app
