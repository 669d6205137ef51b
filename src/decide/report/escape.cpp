#include "decide/report/escape.hpp"

#include <fmt/format.h>

#include <cctype>
#include <cstdint>

#include "base/text.hpp"

namespace ascertain::report {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

struct Character {
    std::uint32_t code = 0;
    std::size_t length = 1;  // bytes used
    bool valid = false;
};

// The character at the front of `text`, which is not empty. Overlong forms, surrogates and values
// beyond U+10FFFF are invalid. Source: The Unicode Standard 15, table 3-7.
Character decode(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    const std::uint8_t first = byte(0);
    if (first < 0x80) return {first, 1, true};
    const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC2 ? 2 : 0;
    if (length == 0 || first > 0xF4 || text.size() < length) return {};
    std::uint32_t code = first & (0xFFu >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0u) != 0x80u) return {};
        code = (code << 6) | (byte(i) & 0x3Fu);
    }
    static constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
    if (code < kSmallest[length] || code > 0x10FFFF || surrogate) return {};
    return {code, length, true};
}

// Characters that no reader should meet: controls, bidirectional overrides, non-characters.
bool deceives(std::uint32_t code) {
    if (code == '\n' || code == '\t') return false;
    const bool control = code < 0x20 || (code >= 0x7F && code < 0xA0);
    const bool bidirectional =
        (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
    const bool non_character = (code & 0xFFFEu) == 0xFFFE || (code >= 0xFDD0 && code <= 0xFDEF);
    return control || bidirectional || non_character;
}

// Case-insensitive: true when `text` continues with `word` at `at`.
bool continues_with(std::string_view text, std::size_t at, std::string_view word) {
    if (text.size() - at < word.size()) return false;
    for (std::size_t i = 0; i < word.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[at + i]);
        if (std::tolower(c) != word[i]) return false;
    }
    return true;
}

}  // namespace

std::string cleaned(std::string_view text) {
    std::string clean;
    clean.reserve(text.size());
    while (!text.empty()) {
        const Character character = decode(text);
        if (character.valid && !deceives(character.code)) {
            clean += text.substr(0, character.length);
        } else {
            clean += kReplacement;
        }
        text.remove_prefix(character.length);
    }
    return clean;
}

std::string escaped(std::string_view text, std::size_t length_max) {
    std::string safe;
    for (const char c : cleaned(shortened(text, length_max))) {
        switch (c) {
            case '&': safe += "&amp;"; break;
            case '<': safe += "&lt;"; break;
            case '>': safe += "&gt;"; break;
            case '"': safe += "&quot;"; break;
            case '\'': safe += "&#39;"; break;
            default: safe += c;
        }
    }
    return safe;
}

std::string script_json(const Json& document) {
    std::string safe;
    for (const char c : document.dump(-1, ' ', true, Json::error_handler_t::replace)) {
        if (c == '<' || c == '>' || c == '&') {
            safe += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else {
            safe += c;
        }
    }
    return safe;
}

std::string script_source(std::string_view source) {
    constexpr std::string_view kMap = "//# sourcemappingurl=";
    std::string safe;
    safe.reserve(source.size());
    for (std::size_t i = 0; i < source.size(); ++i) {
        if (continues_with(source, i, "</script")) {
            safe += "<\\/";
            ++i;
        } else if (continues_with(source, i, "<!--")) {
            safe += "<\\!";
            ++i;
        } else if (continues_with(source, i, kMap)) {
            while (i < source.size() && source[i] != '\n') ++i;
            safe += '\n';
        } else {
            safe += source[i];
        }
    }
    return safe;
}

std::string anchor(std::string_view prefix, std::string_view name) {
    std::string id(prefix);
    for (const char c : name) {
        const auto byte = static_cast<unsigned char>(c);
        const bool plain =
            byte < 0x80 && (std::isalnum(byte) != 0 || c == '-' || c == '_' || c == '.');
        if (plain) {
            id += c;
        } else {
            id += fmt::format("~{:02x}", byte);
        }
    }
    return id;
}

}  // namespace ascertain::report
