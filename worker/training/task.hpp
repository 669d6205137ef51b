// The trial's task: a chain of steps modulo ten, written out, whose answer can be checked.
//
//     question  ?3+5*7-2*3:      answer  8,6,4,2#2$
//
// The answer holds the value after each step, then the last value between # and $. Every step is
// one of eight bijections of 0..9, so all answers are equally likely and guessing the last digit is
// right one time in ten. There are 10 * 8^4 = 40,960 problems; a tenth of them is held out of every
// stage.
//
// Everything is a pure function of a seed and an index: any position can be made at once, on any
// rank, and a resumed run goes on where it stopped.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "worker/training/model.hpp"

namespace ascertain::training {

inline constexpr std::int64_t kVocabulary = 32;
inline constexpr std::int64_t kChainSteps = 4;
inline constexpr std::int64_t kProblems = 40960;
inline constexpr std::int64_t kQuestionTokens = 11;
inline constexpr std::int64_t kAnswerTokens = 10;

// Characters to token numbers below kVocabulary; a character that the task does not use is a bug.
// Token 0 pads.
[[nodiscard]] std::vector<std::int64_t> encode(std::string_view text);
// Tokens without a character become '.'.
[[nodiscard]] std::string decode(const std::vector<std::int64_t>& tokens);

// Problem number 0 .. kProblems - 1.
struct Problem {
    std::string question;  // "?3+5*7-2*3:"
    std::string answer;    // "8,6,4,2#2$"
    std::array<int, kChainSteps> values{};
};
[[nodiscard]] Problem problem(std::int64_t number);
// One in ten, by a hash of the number; never seen in any stage of training.
[[nodiscard]] bool is_held_out(std::int64_t number);
// The reward: 1 if the text after the question ends the answer rightly ("#d$" with the right d),
// else 0.
[[nodiscard]] double reward(const Problem& problem, std::string_view completion);

// One document of the endless pre-training text: 25 % facts, 15 % copies, 5 % reversals, 20 %
// running chains, 35 % chains with answers in other delimiters. Documents whose chain is a held-out
// problem are drawn again.
[[nodiscard]] std::string document(std::uint64_t seed, std::uint64_t index);

// Batch number `index` of pre-training text: [batch, seq] of documents one after another. Batches
// of the same seed share no document, nor do the two splits.
enum class Split { kTraining, kHeldOut };
[[nodiscard]] Batch pretraining_batch(std::uint64_t seed, Split split, std::int64_t index,
                                      std::int64_t batch, std::int64_t sequence_length);

// Demonstrations: question and answer, the loss on the answer only. With probability `noise` a
// value is replaced by a random digit and the rest follows from it, so that a faithful imitator is
// right with probability (1 - 0.9 noise)^4 and there is something left to reinforce.
// [batch, kQuestionTokens + kAnswerTokens - 1].
[[nodiscard]] Batch demonstration_batch(std::uint64_t seed, std::int64_t index, std::int64_t batch,
                                        double noise);

// Numbers of `count` problems to sample from (training), or the first `count` held-out ones.
[[nodiscard]] std::vector<std::int64_t> prompt_problems(std::uint64_t seed, std::int64_t index,
                                                        std::int64_t count);
[[nodiscard]] std::vector<std::int64_t> held_out_problems(std::int64_t count);

// Nats per token of single characters over pre-training text: what a model that learnt nothing but
// frequencies reaches. Estimated over 4,096 documents.
[[nodiscard]] double unigram_entropy(std::uint64_t seed);

}  // namespace ascertain::training
