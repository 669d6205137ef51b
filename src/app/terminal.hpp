// The two streams a person sees. Results go to standard output, progress and diagnostics to
// standard error; colour and moving lines only where a terminal shows them.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace ascertain::app {

enum class Style { kPlain, kBold, kDim, kRed, kGreen, kYellow };

class Terminal {
public:
    explicit Terminal(bool quiet);

    // One line of the result, on standard output.
    void print(std::string_view line) const;
    // A line that stays, on standard error; nothing when quiet.
    void say(std::string_view line);
    // A line that the next one replaces, on a terminal only; nothing when quiet.
    void status(std::string_view line);
    // "ascertain: where: message" on standard error, also when quiet; returns its exit code.
    int complain(const Error& error);

    [[nodiscard]] std::string styled(std::string_view text, Style style) const;
    [[nodiscard]] bool colour() const { return colour_; }
    [[nodiscard]] bool quiet() const { return quiet_; }

private:
    void clear_status();

    bool quiet_;
    bool colour_;
    bool moving_;  // standard error is a terminal
    bool has_status_ = false;
};

}  // namespace ascertain::app
