#include "decide/diagnosis/signature.hpp"

#include <gtest/gtest.h>

namespace ascertain::diagnosis {
namespace {

Known known(const char* id, const char* family, std::vector<Failure> failures) {
    return {id, family, "summary", "source", "", std::move(failures)};
}

const std::vector<Known> kKnown{
    known("rounding-a", "precision",
          {{"ops.numerics.mm", "FAILED", "ops.numerics.rounding"},
           {"trial.forced", "FAILED", "trial.forced.signed"}}),
    known("rounding-b", "precision", {{"ops.numerics.bmm", "FAILED", "ops.numerics.rounding"}}),
    known("race", "race", {{"ops.repeat.mm", "FLAKY", "ops.repeat.same"}}),
    known("hang", "hang-comm", {{"ops.coverage", "TIMED_OUT", ""}}),
};

TEST(Rank, the_same_signature_comes_first_with_likeness_one) {
    for (const auto& one : kKnown) {
        const auto causes = rank(kKnown, one.failures);
        ASSERT_FALSE(causes.empty()) << one.id;
        EXPECT_EQ(causes.front().known->id, one.id);
        EXPECT_DOUBLE_EQ(causes.front().likeness, 1.0);
    }
}

TEST(Rank, another_operator_of_the_same_fault_is_likened_to_its_class) {
    // addmm is in no signature, but its criterion is that of the two rounding defects.
    const auto causes = rank(kKnown, {{"ops.numerics.addmm", "FAILED", "ops.numerics.rounding"}});
    ASSERT_FALSE(causes.empty());
    EXPECT_EQ(causes[0].known->family, "precision");
}

TEST(Rank, nothing_in_common_gives_no_cause) {
    EXPECT_TRUE(rank(kKnown, {{"links.allreduce", "CRASHED", ""}}).empty());
    EXPECT_TRUE(rank(kKnown, {}).empty());
}

TEST(Rank, names_the_nearest_of_every_class_once) {
    std::vector<Known> same;
    for (const char* id : {"a", "b", "c"}) same.push_back(known(id, "one", kKnown[0].failures));
    const auto causes = rank(same, kKnown[0].failures);
    ASSERT_EQ(causes.size(), 1u);
    EXPECT_EQ(causes[0].known->id, "a");
}

TEST(LeaveOneOut, asks_each_without_itself) {
    std::vector<Known> pairs;
    for (const char* family : {"precision", "race"}) {
        for (const char* id : {"1", "2"}) {
            pairs.push_back(known((std::string(family) + id).c_str(), family,
                                  {{std::string("ops.") + family + ".mm", "FAILED", family}}));
        }
    }
    pairs.push_back(known("alone", "hang-comm", {{"ops.coverage", "TIMED_OUT", ""}}));
    pairs.push_back(known("silent", "race", {}));
    const LeaveOneOut result = leave_one_out(pairs, 3);
    EXPECT_EQ(result.asked, 5u);
    // The only one of its class cannot be named by others.
    EXPECT_EQ(result.named, 4u);
    ASSERT_EQ(result.missed.size(), 1u);
    EXPECT_TRUE(result.missed[0].starts_with("alone (hang-comm)"));
    EXPECT_DOUBLE_EQ(result.share(), 0.8);
}

TEST(Matrix, is_read_as_it_was_written) {
    const auto again = read_matrix(matrix_to_json(kKnown).dump(), "matrix");
    ASSERT_TRUE(again) << again.error().text();
    ASSERT_EQ(again->size(), kKnown.size());
    EXPECT_EQ(signature_of((*again)[0].failures), signature_of(kKnown[0].failures));
    EXPECT_EQ((*again)[3].failures[0].criterion, "");
}

TEST(Matrix, that_is_none_is_refused) {
    EXPECT_FALSE(read_matrix("{}", "m"));
    EXPECT_FALSE(read_matrix(R"({"schema": "ascertain.signatures/2", "defects": []})", "m"));
    EXPECT_FALSE(read_matrix(R"({"schema": "ascertain.signatures/1", "defects": [{}]})", "m"));
}

}  // namespace
}  // namespace ascertain::diagnosis
