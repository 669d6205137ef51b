#include "measure/qualification/lane.hpp"

#include <algorithm>

namespace ascertain::qualification {
namespace {

// A series of attempts in one role.
struct Series {
    int number = 0;  // of the last one
    bool completed = false;

    // One more is due: none was made, or the only one broke.
    [[nodiscard]] bool open() const { return number == 0 || (number == 1 && !completed); }
};

// The attempts of one item.
struct History {
    const Attempt* last = nullptr;  // the last kMeasure that was not skipped
    int measured = 0;               // highest number of a kMeasure, skipped or not
    int tries = 0;                  // how many were not skipped
    bool skipped = false;           // skipped in this session
    bool confirmed = false;
    Series control;
    Series twin;
};

History history_of(const std::string& id, const std::vector<Attempt>& attempts) {
    History history;
    const auto extend = [](Series& series, const Attempt& attempt) {
        series.number = std::max(series.number, attempt.number);
        series.completed = series.completed || attempt.outcome == Outcome::kCompleted;
    };
    for (const Attempt& attempt : attempts) {
        if (attempt.check != id) continue;
        if (attempt.role == Role::kConfirm) history.confirmed = true;
        if (attempt.role == Role::kControl) extend(history.control, attempt);
        if (attempt.role == Role::kControlClean) extend(history.twin, attempt);
        if (attempt.role != Role::kMeasure) continue;
        history.measured = std::max(history.measured, attempt.number);
        if (attempt.outcome == Outcome::kSkipped) {
            history.skipped = history.skipped || !attempt.earlier;
        } else {
            history.last = &attempt;
            ++history.tries;
        }
    }
    return history;
}

bool has_opinion(const History& history, Opinion opinion) {
    return history.last != nullptr && history.last->outcome == Outcome::kCompleted &&
           history.last->opinion == opinion;
}

bool wants_confirming(const History& history) {
    if (history.last == nullptr || history.confirmed) return false;
    return history.last->outcome == Outcome::kDeviceError ||
           has_opinion(history, Opinion::kSuspect);
}

bool wants_retry(const History& history) {
    return history.last != nullptr && history.tries == 1 &&
           (broke(*history.last) || history.last->reference_failed);
}

// The items of one family, which stand together in the plan.
class Family {
public:
    Family(const Plan& plan, const std::vector<std::size_t>& items,
           const std::vector<Attempt>& attempts)
        : plan_(plan), items_(items) {
        for (const std::size_t item : items) {
            histories_.push_back(history_of(plan.items[item].id, attempts));
            controlled_ = controlled_ || histories_.back().control.number > 0;
            twin_tried_ = twin_tried_ || histories_.back().twin.number > 0;
        }
    }

    [[nodiscard]] std::optional<Move> next() const {
        for (std::size_t i = 0; i < items_.size(); ++i) {
            if (!may_run(i)) continue;
            const History& history = histories_[i];
            if (history.last == nullptr) return move(i, Role::kMeasure, history.measured + 1);
            if (wants_confirming(history)) return move(i, Role::kConfirm, 1);
            if (auto control = control_by(i)) return control;
        }
        for (std::size_t i = 0; i < items_.size(); ++i) {
            if (!may_run(i) || !wants_retry(histories_[i])) continue;
            if (item(i).has_control && !twin_tried_) return move(i, Role::kControlClean, 1);
            return move(i, Role::kMeasure, histories_[i].measured + 1);
        }
        return std::nullopt;
    }

private:
    [[nodiscard]] const Item& item(std::size_t index) const { return plan_.items[items_[index]]; }
    [[nodiscard]] Move move(std::size_t index, Role role, int number) const {
        return {.item = items_[index], .role = role, .number = number};
    }
    // A skip, planned or not, is recorded once and settles the item for this session.
    [[nodiscard]] bool may_run(std::size_t index) const {
        const History& history = histories_[index];
        if (history.skipped) return false;
        return item(index).skip_category.empty() || history.measured == 0;
    }
    // The control pair belongs to one item: the one that has begun it, else the first good one.
    [[nodiscard]] std::optional<Move> control_by(std::size_t index) const {
        const History& history = histories_[index];
        if (!item(index).has_control) return std::nullopt;
        const bool begins = !controlled_ && has_opinion(history, Opinion::kGood);
        if (history.control.number == 0 && !begins) return std::nullopt;
        if (history.control.open()) return move(index, Role::kControl, history.control.number + 1);
        if (history.twin.open()) return move(index, Role::kControlClean, history.twin.number + 1);
        return std::nullopt;
    }

    const Plan& plan_;
    const std::vector<std::size_t>& items_;
    std::vector<History> histories_;
    bool controlled_ = false;
    bool twin_tried_ = false;
};

}  // namespace

std::optional<Move> next_move(const Plan& plan, const std::vector<std::size_t>& items,
                              const std::vector<Attempt>& attempts) {
    for (std::size_t begin = 0; begin < items.size();) {
        const std::string_view family = plan.items[items[begin]].definition->family;
        std::size_t end = begin;
        while (end < items.size() && plan.items[items[end]].definition->family == family) ++end;
        const std::vector<std::size_t> members(items.begin() + static_cast<std::ptrdiff_t>(begin),
                                               items.begin() + static_cast<std::ptrdiff_t>(end));
        if (auto move = Family(plan, members, attempts).next()) return move;
        begin = end;
    }
    return std::nullopt;
}

}  // namespace ascertain::qualification
