#include "worker/training/task.hpp"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/assert.hpp"
#include "base/random.hpp"

namespace ascertain::training {
namespace {

constexpr std::string_view kCharacters = "0123456789+-*=;@><:,?#$";  // token 1 and on; 0 pads

struct Step {
    char sign;
    int operand;
};
constexpr std::array<Step, 8> kSteps{
    {{'+', 1}, {'+', 3}, {'+', 5}, {'-', 2}, {'-', 4}, {'*', 3}, {'*', 7}, {'*', 9}}};

// Streams of random numbers of one seed, kept apart.
enum class Use : std::uint64_t { kTraining, kHeldOut, kDemonstrations, kPrompts };
constexpr std::uint64_t kUses = 4;
constexpr std::uint64_t kHeldOutSeed = 0x68656c64;  // the same problems are held out of every run
constexpr std::uint64_t kHeldOutOneIn = 10;
constexpr std::uint64_t kDocumentsPerRow = 1u << 16u;

std::uint64_t seed_of(std::uint64_t seed, Use use) {
    return seed * kUses + static_cast<std::uint64_t>(use);
}

int applied(int value, const Step& step) {
    switch (step.sign) {
        case '+': return (value + step.operand) % 10;
        case '-': return (value + 10 - step.operand) % 10;
        default: return value * step.operand % 10;
    }
}

char digit(int value) {
    return static_cast<char>('0' + value);
}

struct Chain {
    std::int64_t number = 0;
    int start = 0;
    std::array<Step, kChainSteps> steps{};
    std::array<int, kChainSteps> values{};
};

Chain chain(std::int64_t number) {
    Chain made;
    made.number = number;
    made.start = static_cast<int>(number % 10);
    std::int64_t rest = number / 10;
    int value = made.start;
    for (std::size_t i = 0; i < kChainSteps; ++i) {
        made.steps[i] = kSteps[static_cast<std::size_t>(rest % 8)];
        rest /= 8;
        value = applied(value, made.steps[i]);
        made.values[i] = value;
    }
    return made;
}

Chain training_chain(Random& random) {
    while (true) {
        const auto number = static_cast<std::int64_t>(random.below(kProblems));
        if (!is_held_out(number)) return chain(number);
    }
}

std::string expression(const Chain& chain) {
    std::string text(1, digit(chain.start));
    for (const Step& step : chain.steps) {
        text += step.sign;
        text += digit(step.operand);
    }
    return text;
}

std::string joined(const std::array<int, kChainSteps>& values) {
    std::string text;
    for (const int value : values) {
        if (!text.empty()) text += ',';
        text += digit(value);
    }
    return text;
}

std::string answer_text(const std::array<int, kChainSteps>& values) {
    return fmt::format("{}#{}$", joined(values), values.back());
}

std::string fact(Random& random) {
    const auto value = static_cast<int>(random.below(10));
    const Step& step = kSteps[random.below(kSteps.size())];
    return {digit(value), step.sign, digit(step.operand), '=', digit(applied(value, step)), ';'};
}

std::string digits(Random& random) {
    std::string text;
    for (int i = 0; i < 4; ++i) text += digit(static_cast<int>(random.below(10)));
    return text;
}

std::string running_chain(const Chain& chain) {
    std::string text(1, digit(chain.start));
    for (std::size_t i = 0; i < kChainSteps; ++i) {
        text += chain.steps[i].sign;
        text += digit(chain.steps[i].operand);
        text += '=';
        text += digit(chain.values[i]);
    }
    return text + ';';
}

Batch shifted_batch(const std::vector<std::string>& rows, std::int64_t sequence_length,
                    std::int64_t first_target) {
    const auto count = static_cast<std::int64_t>(rows.size());
    const at::TensorOptions options = at::TensorOptions().dtype(at::kLong);
    Batch batch{at::empty({count, sequence_length}, options),
                at::empty({count, sequence_length}, options)};
    auto* tokens = batch.tokens.mutable_data_ptr<std::int64_t>();
    auto* targets = batch.targets.mutable_data_ptr<std::int64_t>();
    for (const std::string& row : rows) {
        const std::vector<std::int64_t> encoded = encode(row);
        ASCERTAIN_ASSERT(static_cast<std::int64_t>(encoded.size()) == sequence_length + 1);
        tokens = std::copy(encoded.begin(), encoded.end() - 1, tokens);
        for (std::int64_t i = 1; i <= sequence_length; ++i) {
            *targets++ = i < first_target ? kNoTarget : encoded[static_cast<std::size_t>(i)];
        }
    }
    return batch;
}

}  // namespace

std::vector<std::int64_t> encode(std::string_view text) {
    std::vector<std::int64_t> tokens;
    tokens.reserve(text.size());
    for (const char character : text) {
        const std::size_t place = kCharacters.find(character);
        ASCERTAIN_ASSERT(place != std::string_view::npos);
        tokens.push_back(static_cast<std::int64_t>(place) + 1);
    }
    return tokens;
}

std::string decode(const std::vector<std::int64_t>& tokens) {
    std::string text;
    for (const std::int64_t token : tokens) {
        const bool known = token >= 1 && token <= static_cast<std::int64_t>(kCharacters.size());
        text += known ? kCharacters[static_cast<std::size_t>(token - 1)] : '.';
    }
    return text;
}

Problem problem(std::int64_t number) {
    ASCERTAIN_ASSERT(number >= 0 && number < kProblems);
    const Chain made = chain(number);
    return {fmt::format("?{}:", expression(made)), answer_text(made.values), made.values};
}

bool is_held_out(std::int64_t number) {
    return Random(kHeldOutSeed, static_cast<std::uint64_t>(number)).below(kHeldOutOneIn) == 0;
}

double reward(const Problem& problem, std::string_view completion) {
    const std::size_t mark = completion.find('#');
    if (mark == std::string_view::npos || mark + 2 >= completion.size()) return 0.0;
    const bool right = completion[mark + 1] == digit(problem.values.back());
    return right && completion[mark + 2] == '$' ? 1.0 : 0.0;
}

std::string document(std::uint64_t seed, std::uint64_t index) {
    Random random(seed, index);
    const double kind = random.uniform();
    if (kind < 0.25) return fact(random);
    if (kind < 0.45) {
        const std::string text = digits(random);
        if (kind < 0.40) return fmt::format("@{}>{};", text, text);
        return fmt::format("<{}>{};", text, std::string(text.rbegin(), text.rend()));
    }
    const Chain made = training_chain(random);
    if (kind < 0.65) return running_chain(made);
    return fmt::format("{}:{};", expression(made), joined(made.values));
}

Batch pretraining_batch(std::uint64_t seed, Split split, std::int64_t index, std::int64_t batch,
                        std::int64_t sequence_length) {
    const std::uint64_t stream =
        seed_of(seed, split == Split::kTraining ? Use::kTraining : Use::kHeldOut);
    std::vector<std::string> rows;
    for (std::int64_t row = 0; row < batch; ++row) {
        std::uint64_t next = static_cast<std::uint64_t>(index * batch + row) * kDocumentsPerRow;
        std::string text;
        while (static_cast<std::int64_t>(text.size()) <= sequence_length) {
            text += document(stream, next++);
        }
        text.resize(static_cast<std::size_t>(sequence_length) + 1);
        rows.push_back(std::move(text));
    }
    return shifted_batch(rows, sequence_length, 0);
}

Batch demonstration_batch(std::uint64_t seed, std::int64_t index, std::int64_t batch,
                          double noise) {
    std::vector<std::string> rows;
    for (std::int64_t row = 0; row < batch; ++row) {
        Random random(seed_of(seed, Use::kDemonstrations),
                      static_cast<std::uint64_t>(index * batch + row));
        Chain made = training_chain(random);
        int value = made.start;
        for (std::size_t i = 0; i < kChainSteps; ++i) {
            value = applied(value, made.steps[i]);
            if (random.uniform() < noise) value = static_cast<int>(random.below(10));
            made.values[i] = value;
        }
        rows.push_back(fmt::format("?{}:{}", expression(made), answer_text(made.values)));
    }
    return shifted_batch(rows, kQuestionTokens + kAnswerTokens - 1, kQuestionTokens);
}

std::vector<std::int64_t> prompt_problems(std::uint64_t seed, std::int64_t index,
                                          std::int64_t count) {
    std::vector<std::int64_t> numbers;
    for (std::int64_t i = 0; i < count; ++i) {
        Random random(seed_of(seed, Use::kPrompts), static_cast<std::uint64_t>(index * count + i));
        numbers.push_back(training_chain(random).number);
    }
    return numbers;
}

std::vector<std::int64_t> held_out_problems(std::int64_t count) {
    constexpr std::int64_t kStride = 24571;  // coprime to kProblems: every problem once, well mixed
    std::vector<std::int64_t> numbers;
    for (std::int64_t i = 0; i < kProblems; ++i) {
        if (static_cast<std::int64_t>(numbers.size()) == count) break;
        const std::int64_t number = i * kStride % kProblems;
        if (is_held_out(number)) numbers.push_back(number);
    }
    return numbers;
}

double unigram_entropy(std::uint64_t seed) {
    constexpr std::uint64_t kDocuments = 4096;
    std::array<double, kVocabulary> counts{};
    double total = 0.0;
    for (std::uint64_t i = 0; i < kDocuments; ++i) {
        for (const std::int64_t token : encode(document(seed_of(seed, Use::kTraining), i))) {
            counts[static_cast<std::size_t>(token)] += 1.0;
            total += 1.0;
        }
    }
    double entropy = 0.0;
    for (const double count : counts) {
        if (count > 0.0) entropy -= count / total * std::log(count / total);
    }
    return entropy;
}

}  // namespace ascertain::training
