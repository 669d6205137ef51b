#include "measure/qualification/mailroom.hpp"

#include <utility>

#include "base/assert.hpp"

namespace ascertain::qualification {

using device::Ending;
using device::Progress;
using device::Reply;

Mailroom::Mailroom(device::Workers& workers) : workers_(workers), boxes_(workers.size()) {}

void Mailroom::post(std::size_t member, Letter letter) {
    ASCERTAIN_ASSERT(member < boxes_.size());
    boxes_[member].waiting.push_back(std::move(letter));
    hand_over(member);
}

void Mailroom::recall(std::uint64_t attempt) {
    for (Box& box : boxes_) {
        std::erase_if(box.waiting, [&](const Letter& one) { return one.attempt == attempt; });
    }
}

bool Mailroom::busy(std::size_t member) const {
    return boxes_[member].handed.has_value() || !boxes_[member].waiting.empty();
}

void Mailroom::hand_over(std::size_t member) {
    Box& box = boxes_[member];
    if (box.handed || box.waiting.empty()) return;
    box.handed = std::move(box.waiting.front());
    box.waiting.pop_front();
    workers_.ask(member, box.handed->order);
}

std::vector<Delivery> Mailroom::collect(Seconds wait) {
    std::vector<Delivery> deliveries;
    for (device::Event& event : workers_.poll(wait)) {
        Box& box = boxes_[event.member];
        ASCERTAIN_ASSERT(box.handed.has_value());
        Letter address{.attempt = box.handed->attempt,
                       .request = box.handed->request,
                       .index = box.handed->index,
                       .order = {}};
        const auto* reply = std::get_if<Reply>(&event.what);
        if (reply == nullptr) {
            deliveries.push_back({event.member, std::move(address), std::move(event.what)});
            continue;
        }
        const bool not_started = reply->ending == Ending::kNotStarted;
        box.failed_starts = not_started ? box.failed_starts + 1 : 0;
        const bool once_more = not_started && reply->error_kind == "start" && box.failed_starts < 2;
        if (once_more) {
            workers_.ask(event.member, box.handed->order);
            continue;
        }
        box.handed.reset();
        deliveries.push_back({event.member, std::move(address), std::move(event.what)});
        hand_over(event.member);
    }
    return deliveries;
}

}  // namespace ascertain::qualification
