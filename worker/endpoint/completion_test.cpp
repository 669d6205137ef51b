#include "worker/endpoint/completion.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ascertain::endpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Json place(const char* token, double logprob, int rank) {
    return {{token, {{"logprob", logprob}, {"rank", rank}}}};
}

Json scored(const Json& second, const Json& third) {
    return {{"index", 0}, {"prompt_logprobs", {nullptr, second, third}}};
}

const Tokens kText{4, 7, 9};

TEST(Completion, PromptScoresAreThoseOfTheTokensThatStandThere) {
    Json both = place("7", -3.5, 12);
    both["2"] = {{"logprob", -0.5}, {"rank", 1}};
    const auto read = prompt_logprobs_of(scored(both, place("9", -0.25, 1)), kText);
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_THAT((*read)->logprobs, ElementsAre(-3.5, -0.25));
    // The likelier of two; and the one that is ranked first.
    EXPECT_THAT((*read)->likeliest, ElementsAre(2, 9));
    const auto unranked = prompt_logprobs_of(scored(both, place("9", -0.25, 3)), kText);
    EXPECT_THAT((*unranked)->likeliest, ElementsAre(2, kNotKnown));
}

TEST(Completion, AServerThatScoresNoPromptsIsNoError) {
    for (const Json& choice : {Json{{"text", "a"}}, Json{{"prompt_logprobs", nullptr}}}) {
        const auto read = prompt_logprobs_of(choice, kText);
        ASSERT_TRUE(read.ok());
        EXPECT_FALSE(read->has_value());
    }
}

TEST(Completion, WhatCannotBeTrueIsRefused) {
    const Json good = place("9", -0.25, 1);
    const auto message_of = [&](const Json& second) {
        const auto read = prompt_logprobs_of(scored(second, good), kText);
        return read.ok() ? "" : read.error().message;
    };
    EXPECT_THAT(message_of(place("8", -1.0, 1)), HasSubstr("another vocabulary"));
    EXPECT_THAT(message_of(place("7", 0.5, 1)), HasSubstr("above zero"));
    EXPECT_THAT(message_of({{"7", {{"logprob", nullptr}}}}), HasSubstr("no finite"));
    EXPECT_THAT(message_of({{"7", {{"logprob", "-1"}}}}), HasSubstr("no finite"));
    EXPECT_THAT(message_of(Json(3)), HasSubstr("says nothing of token 7"));
    const auto longer = prompt_logprobs_of(scored(place("7", -1.0, 1), good), {4, 7, 9, 9});
    EXPECT_THAT(longer.error().message, HasSubstr("3 tokens of a text of 4"));
}

TEST(Completion, AnEchoIsReadWhereItsFirstNumberIsMissing) {
    const Json echoed{{"logprobs", {{"token_logprobs", {nullptr, -1.0, -2.0, -3.0}}}}};
    const auto read = echoed_logprobs_of(echoed, kText);
    ASSERT_TRUE(read.ok() && read->has_value());
    EXPECT_THAT((*read)->logprobs, ElementsAre(-1.0, -2.0));
    // Only what was written: this server did not echo.
    const Json written{{"logprobs", {{"token_logprobs", {-3.0}}}}};
    EXPECT_FALSE(echoed_logprobs_of(written, kText)->has_value());
    const Json cut{{"logprobs", {{"token_logprobs", {nullptr, -1.0}}}}};
    EXPECT_FALSE(echoed_logprobs_of(cut, kText).ok());
}

TEST(Completion, WrittenTokensAreFoundInAllThreeSpellings) {
    const Json numbers{{"token_logprobs", {-1.0, -2.0}}, {"tokens", {"token_id:5", "token_id:6"}}};
    const Json spelt{{"logprobs", numbers}};
    const Json listed{{"token_ids", {5, 6}}, {"logprobs", {{"token_logprobs", {-1.0, -2.0}}}}};
    const Json content{
        {"logprobs",
         {{"content", {{{"id", 5}, {"logprob", -1.0}}, {{"id", 6}, {"logprob", -2.0}}}}}}};
    for (const Json& choice : {spelt, listed, content}) {
        const auto read = written_of(choice, 2, 10);
        ASSERT_TRUE(read.ok()) << read.error().message;
        EXPECT_THAT(read->tokens, ElementsAre(5, 6));
        EXPECT_THAT(read->logprobs, ElementsAre(-1.0, -2.0));
    }
    EXPECT_THAT(written_of(listed, 1, 10).error().message, HasSubstr("asked for 1"));
    EXPECT_THAT(written_of(listed, 2, 6).error().message, HasSubstr("vocabulary of 6"));
    Json words = spelt;
    words["logprobs"]["tokens"] = {"the", "cat"};
    EXPECT_EQ(written_of(words, 2, 10).error().code, ErrorCode::kUnsupported);
    EXPECT_EQ(written_of(Json{{"text", "a"}}, 2, 10).error().code, ErrorCode::kUnsupported);
}

TEST(Completion, ChoicesComeInTheOrderOfTheirPrompts) {
    const auto read = choices_of(R"({"choices": [{"index": 1, "a": 1}, {"index": 0, "a": 0}]})", 2);
    ASSERT_TRUE(read.ok());
    EXPECT_EQ((*read)[1]["a"], 1);
    for (const char* body :
         {"", "<html>", "{}", R"({"choices": 3})", R"({"choices": [{"index": 0}]})",
          R"({"choices": [{"index": 0}, {"index": 0}]})",
          R"({"choices": [{"index": 0}, {"index": 2}]})", R"({"choices": [NaN, 1]})"}) {
        EXPECT_FALSE(choices_of(body, 2).ok()) << body;
    }
}

}  // namespace
}  // namespace ascertain::endpoint
