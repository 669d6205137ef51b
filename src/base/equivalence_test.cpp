#include "base/equivalence.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <vector>

#include "base/random.hpp"

namespace ascertain {
namespace {

using ::testing::DoubleNear;

// Four runs at 1.00, 1.01, 0.99, 1.00: mean 1, standard deviation sqrt(2e-4 / 3).
const std::vector<double> kRuns{1.00, 1.01, 0.99, 1.00};

TEST(Equivalence, IsStudentsIntervalAgainstTheMargin) {
    const EquivalenceDesign design{.margin = 0.05, .spread_min = 0.0};
    const Equivalence result = equivalence(kRuns, std::vector{1.02}, design);
    const double spread = std::sqrt(2e-4 / 3.0);
    constexpr double kStudent95With3 = 2.353363;  // any table
    const double half = kStudent95With3 * spread * std::sqrt(1.0 / 4.0 + 1.0);
    EXPECT_NEAR(result.difference, 0.02, 1e-12);
    EXPECT_NEAR(result.low, 0.02 - half, 1e-7);
    EXPECT_NEAR(result.high, 0.02 + half, 1e-7);
    EXPECT_EQ(result.degrees, 3);
    EXPECT_EQ(result.decision, Decision::kEquivalent);
    EXPECT_NEAR(result.reach(0.05), (0.02 + half) / 0.05, 1e-6);
}

TEST(Equivalence, TellsDifferentFromUndecided) {
    const EquivalenceDesign narrow{.margin = 0.005, .spread_min = 0.0};
    EXPECT_EQ(equivalence(kRuns, std::vector{1.02}, narrow).decision, Decision::kUndecided);
    const Equivalence far = equivalence(kRuns, std::vector{1.10}, narrow);
    EXPECT_EQ(far.decision, Decision::kDifferent);
    EXPECT_GT(far.reach(0.005), 1.0);
    EXPECT_EQ(equivalence(kRuns, std::vector{0.90}, narrow).decision, Decision::kDifferent);
}

TEST(Equivalence, NeverPassesOnTooFewOrBrokenRuns) {
    const std::vector<double> three{1.0, 1.0, 1.0};
    EXPECT_EQ(equivalence(three, three, {}).decision, Decision::kTooFew);
    EXPECT_EQ(equivalence(kRuns, {}, {}).decision, Decision::kTooFew);
    EXPECT_EQ(equivalence(kRuns, std::vector{std::nan("")}, {}).decision, Decision::kTooFew);
    EXPECT_EQ(paired_equivalence(three, three, {}).decision, Decision::kTooFew);
}

TEST(Equivalence, ReplicasThatDoNotScatterAreNotBelieved) {
    const std::vector<double> same(4, 2.0);
    const Equivalence result = equivalence(same, std::vector{2.0}, {});
    EXPECT_EQ(result.spread, EquivalenceDesign{}.spread_min);
    EXPECT_GT(result.high, 0.0);
}

TEST(Equivalence, PairsForgetWhatTheirDataHaveInCommon) {
    const EquivalenceDesign design{.margin = 0.005, .spread_min = 1e-4};
    const std::vector<double> reference{1.0, 2.0, 3.0, 4.0};
    std::vector<double> tested;
    for (const double value : reference) tested.push_back(value * 1.001);
    EXPECT_EQ(paired_equivalence(reference, tested, design).decision, Decision::kEquivalent);
    EXPECT_NEAR(paired_equivalence(reference, tested, design).difference, 0.001, 1e-12);
    EXPECT_EQ(equivalence(reference, tested, design).decision, Decision::kUndecided);
}

// Power of a healthy device by 20,000 simulated experiments, rounded to two digits: the numbers
// that an independent simulation gave when the trial was designed (no lower limit on the spread).
TEST(Probability, AgreesWithSimulatedExperiments) {
    struct Row {
        double spread;
        std::size_t replicas;
        std::size_t tests;
        double margin;
        double power;
    };
    for (const Row& row : {Row{0.0005, 3, 1, 0.0025, .75}, Row{0.0005, 4, 1, 0.0025, .90},
                           Row{0.0009, 4, 1, 0.0025, .36}, Row{0.0009, 4, 1, 0.005, .95},
                           Row{0.0014, 6, 3, 0.0025, .45}, Row{0.0020, 4, 1, 0.005, .27},
                           Row{0.0020, 6, 3, 0.005, .83}, Row{0.0020, 4, 1, 0.01, .91}}) {
        const double power = probability_of(Decision::kEquivalent, 0.0, row.spread, row.replicas,
                                            row.tests, {.margin = row.margin, .spread_min = 0.0});
        EXPECT_THAT(power, DoubleNear(row.power, 0.012)) << row.spread << " " << row.replicas;
    }
}

TEST(Probability, ADeviceOnTheBorderPassesAtMostOneTimeInTwenty) {
    for (const double spread : {0.0005, 0.001, 0.002, 0.004}) {
        const EquivalenceDesign design{.margin = 0.005, .spread_min = 0.0};
        EXPECT_LE(probability_of(Decision::kEquivalent, 0.005, spread, 4, 1, design),
                  0.0505);  // 5 %, but for the slices
        EXPECT_LE(probability_of(Decision::kDifferent, 0.005, spread, 4, 1, design),
                  0.0505);  // 5 %, but for the slices
    }
}

TEST(Probability, AgreesWithTheTestItself) {
    const EquivalenceDesign design{.margin = 0.005, .spread_min = 5e-4};
    constexpr double kSpread = 0.0015;
    constexpr int kTries = 4000;
    Random random(7, 0);
    int passed = 0;
    for (int i = 0; i < kTries; ++i) {
        std::vector<double> reference;
        for (int k = 0; k < 4; ++k) reference.push_back(1.0 + kSpread * random.normal());
        const std::vector<double> tested{1.0 + kSpread * random.normal()};
        if (equivalence(reference, tested, design).decision == Decision::kEquivalent) ++passed;
    }
    const double expected = probability_of(Decision::kEquivalent, 0.0, kSpread, 4, 1, design);
    const double error = std::sqrt(expected * (1 - expected) / kTries);
    EXPECT_NEAR(static_cast<double>(passed) / kTries, expected, 5 * error);
}

}  // namespace
}  // namespace ascertain
