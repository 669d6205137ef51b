#include "app/prove/log.hpp"

#include <gtest/gtest.h>

#include "app/prove/bench.hpp"

namespace ascertain::app {
namespace {

DefectResult result_at(const char* profile, bool caught) {
    DefectResult result;
    result.id = "one";
    result.family = "race";
    result.plane = "chip";
    result.expressible = true;
    result.profile = profile;
    result.caught = caught;
    return result;
}

class Log : public ::testing::Test {
protected:
    void SetUp() override {
        auto scratch = ScratchFolder::make();
        ASSERT_TRUE(scratch) << scratch.error().text();
        scratch_ = *std::move(scratch);
        folder_ = scratch_->path() + "/log";
    }

    std::unique_ptr<ScratchFolder> scratch_;
    std::string folder_;
    const Json question_ = {{"seed", 1}};
};

TEST_F(Log, gives_the_last_result_of_a_defect_that_went_on_to_standard) {
    {
        const auto log = ProofLog::open(folder_, false, question_);
        ASSERT_TRUE(log) << log.error().text();
        ASSERT_TRUE((*log)->keep(result_at("quick", false)));
        ASSERT_TRUE((*log)->keep(result_at("standard", true)));
    }
    const auto log = ProofLog::open(folder_, true, question_);
    ASSERT_TRUE(log) << log.error().text();
    ASSERT_NE((*log)->find("one"), nullptr);
    EXPECT_EQ((*log)->find("one")->profile, "standard");
    EXPECT_TRUE((*log)->find("one")->caught);
    EXPECT_EQ((*log)->find("two"), nullptr);
}

TEST_F(Log, of_another_question_is_refused) {
    {
        const auto log = ProofLog::open(folder_, false, question_);
        ASSERT_TRUE(log && (*log)->keep(result_at("quick", true)));
    }
    EXPECT_FALSE(ProofLog::open(folder_, false, question_));
    EXPECT_FALSE(ProofLog::open(folder_, true, {{"seed", 2}}));
}

}  // namespace
}  // namespace ascertain::app
