#include "measure/device/workers.hpp"

#include <utility>

namespace ascertain::device {
namespace {

// How long one look lasts at most; the stop flag is asked in between.
constexpr Seconds kLook{0.1};

}  // namespace

Result<Reply> call(Workers& workers, std::size_t member, Order order,
                   const std::function<bool()>& stopped) {
    workers.ask(member, std::move(order));
    while (true) {
        if (stopped()) {
            workers.kill_all();
            return Error{ErrorCode::kInterrupted, "interrupted", {}};
        }
        for (Event& event : workers.poll(kLook)) {
            const bool is_reply = std::holds_alternative<Reply>(event.what);
            if (is_reply && event.member == member) return std::get<Reply>(std::move(event.what));
        }
    }
}

}  // namespace ascertain::device
