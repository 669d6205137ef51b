// One frame between coordinator and agent: it is refused with a reason, or it says the same again
// when it is written down and read back.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "measure/agents/message.hpp"

namespace {

template <typename Parsed, typename Parse>
void check(const Parsed& parsed, Parse parse) {
    if (!parsed) {
        if (parsed.error().code != ascertain::ErrorCode::kBadInput) std::abort();
        return;
    }
    const std::string once = frame(*parsed);
    const auto back = parse(once);
    if (!back || frame(*back) != once) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    namespace agents = ascertain::agents;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check(agents::parse_from_agent(text), agents::parse_from_agent);
    check(agents::parse_from_coordinator(text), agents::parse_from_coordinator);
    return 0;
}
