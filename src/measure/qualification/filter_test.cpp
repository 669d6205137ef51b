#include "measure/qualification/filter.hpp"

#include <gmock/gmock.h>

namespace ascertain::qualification {
namespace {

using ::testing::HasSubstr;

Candidate candidate(const char* id) {
    return {id, checks::find(id)};
}

TEST(Selects, AnIdItsBeginningAWildcardAndAGroup) {
    const Candidate mm = candidate("ops.numerics.mm");
    for (const char* pattern :
         {"ops.numerics.mm", "ops.numerics", "ops", "ops.*", "*.mm", "@compute", "@numerics"}) {
        EXPECT_TRUE(selects(pattern, mm)) << pattern;
    }
    for (const char* pattern : {"ops.num", "ops.numerics.m", "trial", "@learn", "@mm", "", "mm"}) {
        EXPECT_FALSE(selects(pattern, mm)) << pattern;
    }
}

TEST(CheckPatterns, NamesThePatternAndWhatItMayHaveMeant) {
    const std::vector<Candidate> candidates{candidate("ops.numerics.mm"),
                                            candidate("trial.forced")};
    EXPECT_TRUE(check_patterns({"ops", "@learn"}, candidates).ok());
    const auto unknown = check_patterns({"ops", "trial.forcd"}, candidates);
    ASSERT_FALSE(unknown.ok());
    EXPECT_EQ(unknown.error().code, ErrorCode::kUsage);
    EXPECT_THAT(unknown.error().message, HasSubstr("\"trial.forcd\""));
    EXPECT_THAT(unknown.error().message, HasSubstr("trial.forced"));
    EXPECT_THAT(check_patterns({"@lern"}, candidates).error().message, HasSubstr("@learn"));
}

}  // namespace
}  // namespace ascertain::qualification
