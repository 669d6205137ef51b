#include "app/terminal.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "app/exit_codes.hpp"
#include "base/text.hpp"

namespace ascertain::app {
namespace {

constexpr std::size_t kStatusWidth = 110;

bool colours_wanted() {
    const char* no_colour = std::getenv("NO_COLOR");  // no-color.org
    const char* kind = std::getenv("TERM");
    return (no_colour == nullptr || *no_colour == '\0') && kind != nullptr &&
           std::string_view(kind) != "dumb";
}

}  // namespace

Terminal::Terminal(bool quiet)
    : quiet_(quiet),
      colour_(::isatty(STDOUT_FILENO) != 0 && colours_wanted()),
      moving_(::isatty(STDERR_FILENO) != 0 && colours_wanted()) {}

void Terminal::print(std::string_view line) const {
    fmt::print(stdout, "{}\n", line);
}

void Terminal::say(std::string_view line) {
    if (quiet_) return;
    clear_status();
    fmt::print(stderr, "{}\n", line);
}

void Terminal::status(std::string_view line) {
    if (quiet_ || !moving_) return;
    clear_status();
    fmt::print(stderr, "{}", shortened(line, kStatusWidth));
    std::fflush(stderr);
    has_status_ = true;
}

int Terminal::complain(const Error& error) {
    clear_status();
    fmt::print(stderr, "ascertain: {}\n", error.text());
    return exit_code(error.code);
}

std::string Terminal::styled(std::string_view text, Style style) const {
    if (!colour_) return std::string(text);
    const auto code = [&] {
        switch (style) {
            case Style::kPlain: return "0";
            case Style::kBold: return "1";
            case Style::kDim: return "2";
            case Style::kRed: return "31";
            case Style::kGreen: return "32";
            case Style::kYellow: return "33";
        }
        return "0";
    }();
    return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

void Terminal::clear_status() {
    if (!has_status_) return;
    fmt::print(stderr, "\r\x1b[K");
    has_status_ = false;
}

}  // namespace ascertain::app
