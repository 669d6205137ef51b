#include "worker/training/task.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace ascertain::training {
namespace {

std::string row_text(const at::Tensor& tokens, std::int64_t row) {
    const at::Tensor own = tokens[row].contiguous();
    const auto* values = own.const_data_ptr<std::int64_t>();
    return decode(std::vector<std::int64_t>(values, values + own.numel()));
}

// What a chain document asks, without the question mark, if it is one.
std::string question_in(const std::string& text) {
    std::string question;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '=')
            ++i;  // running chains write each value behind its step
        else if (text[i] == ':' || text[i] == ';')
            break;
        else
            question += text[i];
    }
    return question.size() == 9 ? question : "";
}

TEST(Task, AnswersFollowFromTheirQuestions) {
    for (std::int64_t number = 0; number < kProblems; number += 17) {
        const Problem made = problem(number);
        int value = made.question[1] - '0';
        std::string expected;
        for (std::size_t i = 2; i + 1 < made.question.size(); i += 2) {
            const int operand = made.question[i + 1] - '0';
            switch (made.question[i]) {
                case '+': value = (value + operand) % 10; break;
                case '-': value = (value - operand + 10) % 10; break;
                default: value = value * operand % 10; break;
            }
            expected += fmt::format("{}{}", expected.empty() ? "" : ",", value);
        }
        expected += fmt::format("#{}$", value);
        EXPECT_EQ(made.answer, expected);
        EXPECT_EQ(static_cast<std::int64_t>(made.question.size()), kQuestionTokens);
        EXPECT_EQ(static_cast<std::int64_t>(made.answer.size()), kAnswerTokens);
        EXPECT_EQ(decode(encode(made.question + made.answer)), made.question + made.answer);
    }
}

TEST(Task, AllProblemsDifferAndATenthIsHeldOut) {
    std::set<std::string> questions;
    int held_out = 0;
    for (std::int64_t number = 0; number < kProblems; ++number) {
        questions.insert(problem(number).question);
        held_out += is_held_out(number) ? 1 : 0;
    }
    EXPECT_EQ(questions.size(), static_cast<std::size_t>(kProblems));
    EXPECT_NEAR(held_out, 4096, 250);  // 4 standard deviations of a binomial
}

TEST(Task, NoStageShowsAHeldOutProblem) {
    std::set<std::string> held_out;
    for (const std::int64_t number : held_out_problems(kProblems)) {
        const std::string question = problem(number).question;
        held_out.insert(question.substr(1, 9));
    }
    int chains = 0;
    for (std::uint64_t i = 0; i < 20000; ++i) {
        const std::string question = question_in(document(1, i));
        if (question.empty()) continue;
        ++chains;
        EXPECT_FALSE(held_out.contains(question)) << question;
    }
    EXPECT_GT(chains, 9000);  // 55 % of the documents
    const Batch demonstrations = demonstration_batch(1, 0, 512, 0.18);
    for (std::int64_t row = 0; row < 512; ++row) {
        EXPECT_FALSE(held_out.contains(row_text(demonstrations.tokens, row).substr(1, 9)));
    }
    for (const std::int64_t number : prompt_problems(1, 0, 512)) EXPECT_FALSE(is_held_out(number));
}

TEST(Task, AnyBatchCanBeMadeAtOnceAndNoTwoAreAlike) {
    const Batch one = pretraining_batch(3, Split::kTraining, 41, 4, 64);
    const Batch again = pretraining_batch(3, Split::kTraining, 41, 4, 64);
    EXPECT_TRUE(one.tokens.equal(again.tokens));
    EXPECT_TRUE(one.tokens.narrow(1, 1, 63).equal(one.targets.narrow(1, 0, 63)));
    // The batch that follows, another seed and the held-out split are other text.
    EXPECT_FALSE(one.tokens.equal(pretraining_batch(3, Split::kTraining, 42, 4, 64).tokens));
    EXPECT_FALSE(one.tokens.equal(pretraining_batch(4, Split::kTraining, 41, 4, 64).tokens));
    EXPECT_FALSE(one.tokens.equal(pretraining_batch(3, Split::kHeldOut, 41, 4, 64).tokens));
    // Rows do not depend on how they are cut into batches.
    const Batch wide = pretraining_batch(3, Split::kTraining, 20, 8, 64);
    EXPECT_TRUE(wide.tokens.narrow(0, 4, 4).equal(one.tokens));
}

TEST(Task, DemonstrationsAreNoisyAndLearntOnTheAnswerOnly) {
    const Batch batch = demonstration_batch(1, 0, 4000, 0.18);
    int right = 0;
    for (std::int64_t row = 0; row < 4000; ++row) {
        const std::string text = row_text(batch.tokens, row);
        int value = text[1] - '0';
        for (std::size_t i = 2; i < 10; i += 2) {
            const int operand = text[i + 1] - '0';
            value = text[i] == '*'   ? value * operand % 10
                    : text[i] == '+' ? (value + operand) % 10
                                     : (value - operand + 10) % 10;
        }
        // The token before the end mark; wrong steps can cancel with probability about 1 %.
        right += text[19] - '0' == value ? 1 : 0;
        EXPECT_EQ(batch.targets[row].ne(kNoTarget).sum().item<std::int64_t>(), kAnswerTokens);
    }
    EXPECT_NEAR(right / 4000.0, std::pow(1.0 - 0.9 * 0.18, 4), 0.05);
}

TEST(Task, RewardWantsTheRightDigitAndTheEndMark) {
    const Problem made = problem(1234);
    const int right = made.values.back();
    EXPECT_EQ(reward(made, made.answer), 1.0);
    EXPECT_EQ(reward(made, fmt::format("#{}$", right)), 1.0);
    EXPECT_EQ(reward(made, fmt::format("#{}$", (right + 1) % 10)), 0.0);
    EXPECT_EQ(reward(made, fmt::format("#{}", right)), 0.0);
    EXPECT_EQ(reward(made, fmt::format("#{},$", right)), 0.0);
    EXPECT_EQ(reward(made, fmt::format("{}$", right)), 0.0);
    EXPECT_EQ(reward(made, ""), 0.0);
}

TEST(Task, CharactersAloneLeaveAboutThreeNats) {
    // 23 characters: ln 23 = 3.14 is the most there could be; digits and marks are not alike.
    EXPECT_GT(unigram_entropy(1), 2.7);
    EXPECT_LT(unigram_entropy(1), 3.14);
}

}  // namespace
}  // namespace ascertain::training
