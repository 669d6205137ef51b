#include "measure/device/call_all.hpp"

#include <utility>

namespace ascertain::device {
namespace {

// How long one look lasts at most; the stop flag is asked in between.
constexpr Seconds kLook{0.1};

}  // namespace

Result<std::vector<Reply>> call_all(Workers& workers, std::size_t count, const Order& order,
                                    const std::function<bool()>& stopped) {
    ASCERTAIN_ASSERT(count <= workers.size());
    for (std::size_t member = 0; member < count; ++member) workers.ask(member, order);
    std::vector<Reply> replies(count);
    for (std::size_t missing = count; missing > 0;) {
        if (stopped()) {
            workers.kill_all();
            return Error{ErrorCode::kInterrupted, "interrupted", {}};
        }
        for (Event& event : workers.poll(kLook)) {
            auto* reply = std::get_if<Reply>(&event.what);
            if (reply == nullptr || event.member >= count) continue;
            replies[event.member] = std::move(*reply);
            --missing;
        }
    }
    return replies;
}

}  // namespace ascertain::device
