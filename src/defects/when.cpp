#include "defects/when.hpp"

#include "base/random.hpp"

namespace ascertain::defects {
namespace {

constexpr std::uint64_t kProcessStream = 0x70726f63U;  // apart from the calls' streams

}  // namespace

bool acts(const When& when, std::int64_t number, std::int64_t fired, std::int64_t process) {
    if (number < when.after_calls || (when.times > 0 && fired >= when.times)) return false;
    if ((number - when.after_calls) % when.every != 0) return false;
    if (when.process_share < 1.0) {
        Random random(when.seed ^ kProcessStream, static_cast<std::uint64_t>(process));
        if (random.uniform() >= when.process_share) return false;
    }
    if (when.probability >= 1.0) return true;
    Random random(when.seed, static_cast<std::uint64_t>(number));
    return random.uniform() < when.probability;
}

}  // namespace ascertain::defects
