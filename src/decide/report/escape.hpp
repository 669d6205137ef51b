// Text from evidence on its way into a document. Everything a device, a user or a library wrote may
// be hostile; these functions are the only doors by which it enters HTML, XML or a script element.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/json.hpp"

namespace ascertain::report {

// Longer texts are cut with "..." in the report; the evidence keeps the whole.
inline constexpr std::size_t kTextBytesMax = 2000;

// `text` as HTML or XML character data or a quoted attribute value. Markup characters become
// entities; invalid UTF-8, control characters other than tab and newline, and the bidirectional
// overrides that make text read as what it is not become U+FFFD. Cut at `length_max` bytes.
[[nodiscard]] std::string escaped(std::string_view text, std::size_t length_max = kTextBytesMax);

// `text` as valid UTF-8 without control characters, for a terminal or before `escaped`: newlines
// and tabs stay, everything that `escaped` would replace is replaced.
[[nodiscard]] std::string cleaned(std::string_view text);

// A document for <script type="application/json">: ASCII, and without any '<', '>' or '&'.
[[nodiscard]] std::string script_json(const Json& document);

// JavaScript source for a <script> element: nothing in it ends the element or opens a comment, and
// no source map is asked for.
[[nodiscard]] std::string script_source(std::string_view source);

// A fragment identifier: letters, digits, '-', '_' and '.' stay; every other byte becomes "~" and
// two hexadecimal digits, so that different names stay different.
[[nodiscard]] std::string anchor(std::string_view prefix, std::string_view name);

}  // namespace ascertain::report
