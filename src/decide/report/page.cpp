#include "decide/report/page.hpp"

#include <fmt/format.h>

#include "decide/report/assets.hpp"
#include "decide/report/escape.hpp"

namespace ascertain::report {
namespace {

// Nothing may be fetched, whatever evidence contains; the inline elements are our own.
constexpr std::string_view kPolicy =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'";

}  // namespace

std::string page_head(std::string_view title) {
    return fmt::format(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<meta name=\"color-scheme\" content=\"light dark\">\n"
        "<link rel=\"icon\" href=\"data:,\">\n"
        "<title>{} · Ascertain</title>\n<style>\n{}</style>\n</head>\n",
        kPolicy, escaped(title, 300), kStyle);
}

}  // namespace ascertain::report
