// A page or picture of docs/ that a command writes: lines of text, one after the other.
#pragma once

#include <fmt/format.h>

#include <iterator>
#include <string>
#include <utility>

namespace ascertain::cost {

class Page {
public:
    template <typename... Values>
    void line(fmt::format_string<Values...> form, Values&&... values) {
        fmt::format_to(std::back_inserter(text_), form, std::forward<Values>(values)...);
        text_ += '\n';
    }
    [[nodiscard]] std::string text() && { return std::move(text_); }

private:
    std::string text_;
};

}  // namespace ascertain::cost
