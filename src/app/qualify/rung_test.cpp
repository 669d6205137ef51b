#include "app/qualify/rung.hpp"

#include <gmock/gmock.h>

#include <algorithm>

namespace ascertain::app {
namespace {

class RungTest : public testing::Test {
protected:
    void SetUp() override {
        Home home;
        home.root = ASCERTAIN_SOURCE_DIR;
        auto situation = read_situation(home, {});
        ASSERT_TRUE(situation.ok());
        situation_.emplace(*std::move(situation));
        auto book = read_cost_book(home, {});
        ASSERT_TRUE(book.ok());
        book_.emplace(*std::move(book));
        auto stages = forecast_stages(*situation_, *book_, {});
        ASSERT_TRUE(stages.ok());
        stages_ = *std::move(stages);
        ASSERT_FALSE(stages_.front().search.plans.empty());
    }
    std::vector<evidence::Prediction> foretold(const std::string& rung, double devices) const {
        return rung_predictions(*situation_, *book_, stages_, {2.0, 10'000.0},
                                {rung, devices, 24.0});
    }
    [[nodiscard]] const parallel::Plan& plan() const {
        return stages_.front().search.plans.front().plan;
    }

    std::optional<Situation> situation_;
    std::optional<cost::CostBook> book_;
    std::vector<StageForecast> stages_;
};

TEST_F(RungTest, OfOneDeviceOnlyInterruptionsAreForetold) {
    const auto predictions = foretold("device", 1.0);
    ASSERT_EQ(predictions.size(), 1u);
    EXPECT_EQ(predictions[0].id, "rung.device.interruptions");
    // Two failures in 10,000 hours, for 24 hours.
    EXPECT_DOUBLE_EQ(predictions[0].value, 2.0 / 10'000.0 * 24.0);
    EXPECT_LE(predictions[0].low, predictions[0].value);
    EXPECT_GE(predictions[0].high, predictions[0].value);
}

TEST_F(RungTest, GroupsAreForetoldWhereTheRungHoldsThem) {
    const auto fleet = foretold("fleet", static_cast<double>(situation_->fleets[0].count));
    const auto has = [](const auto& predictions, const std::string& id) {
        return std::ranges::find(predictions, id, &evidence::Prediction::id) != predictions.end();
    };
    EXPECT_EQ(has(fleet, "rung.fleet.bandwidth.tp"), plan().tp > 1);
    EXPECT_EQ(has(fleet, "rung.fleet.bandwidth.dp"), plan().dp > 1);
    EXPECT_FALSE(has(foretold("node", 1.0), "rung.node.bandwidth.dp"));
}

TEST_F(RungTest, NoGroupIsForetoldFasterThanItsLinks) {
    const auto& chip = situation_->fleets[0].chip;
    ASSERT_TRUE(chip.scale_up_per_direction.known());
    for (const auto& one : foretold("fleet", 1e9)) {
        if (one.unit != "B/s") continue;
        EXPECT_GT(one.value, 0.0) << one.id;
        EXPECT_LT(one.value, chip.scale_up_per_direction.value->count) << one.id;
        EXPECT_LT(one.low, one.value) << one.id;
        EXPECT_GT(one.high, one.value) << one.id;
        EXPECT_FALSE(one.basis.empty()) << one.id;
        EXPECT_FALSE(one.calibrated) << "rates from paper do not block";
    }
}

}  // namespace
}  // namespace ascertain::app
