// A value or the Error that prevented it. The one way in which a room reports an expected failure.
//
//     Result<Plan> best = find(...);
//     if (!best) return best.error();
//     use(*best);
#pragma once

#include <optional>
#include <utility>
#include <variant>

#include "base/assert.hpp"
#include "base/error.hpp"

namespace ascertain {

template <typename T>
class [[nodiscard]] Result {
public:
    using value_type = T;

    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

    [[nodiscard]] bool ok() const { return state_.index() == 0; }
    explicit operator bool() const { return ok(); }

    // The value; asking a failed result for it is a bug.
    [[nodiscard]] const T& value() const& {
        ASCERTAIN_ASSERT(ok());
        return *std::get_if<0>(&state_);
    }
    [[nodiscard]] T& value() & {
        ASCERTAIN_ASSERT(ok());
        return *std::get_if<0>(&state_);
    }
    [[nodiscard]] T&& value() && {
        ASCERTAIN_ASSERT(ok());
        return std::move(*std::get_if<0>(&state_));
    }
    [[nodiscard]] const T& operator*() const& { return value(); }
    [[nodiscard]] T& operator*() & { return value(); }
    [[nodiscard]] T&& operator*() && { return std::move(*this).value(); }
    [[nodiscard]] const T* operator->() const { return &value(); }
    [[nodiscard]] T* operator->() { return &value(); }

    // The error; asking a good result for it is a bug.
    [[nodiscard]] const Error& error() const {
        ASCERTAIN_ASSERT(!ok());
        return *std::get_if<1>(&state_);
    }

private:
    std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
public:
    using value_type = void;

    Result() = default;
    Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit

    [[nodiscard]] bool ok() const { return !error_.has_value(); }
    explicit operator bool() const { return ok(); }
    [[nodiscard]] const Error& error() const {
        ASCERTAIN_ASSERT(!ok());
        return *error_;
    }

private:
    std::optional<Error> error_;
};

}  // namespace ascertain
