// The small pieces every section is made of: marks, links, tables, figures. All take plain text and
// return HTML; what they are given is escaped here unless a name ends in `_html`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "decide/judge/verdict.hpp"
#include "decide/report/material.hpp"

namespace ascertain::report {

// How a thing is coloured. Only what is known to be good is kGood; kOpen is everything not known.
enum class Tone { kGood, kOpen, kBad, kNone };

[[nodiscard]] Tone tone_of(judge::VerdictWord word);
// PASSED with the weight of a pass is good, FAILED or the weight of a failure is bad, WAIVED is
// neither, and everything else is open, whatever the weight says.
[[nodiscard]] Tone tone_of(const judge::CheckVerdict& check);
[[nodiscard]] Tone tone_of(const judge::QuestionVerdict& question);
[[nodiscard]] std::string_view class_of(Tone tone);  // the CSS class
[[nodiscard]] std::string_view mark_of(Tone tone);   // a shape, so that colour is never alone

// Inside its interval is good, outside of it bad if that blocks and open if not, unmeasured
// neither.
[[nodiscard]] Tone tone_of(const judge::Comparison& comparison);
[[nodiscard]] std::string_view words_of(const judge::Comparison& comparison);
// What blocks sorts first, then what is outside, what was not measured, what is inside.
[[nodiscard]] int attention(const judge::Comparison& comparison);

// The one number a reader wants first: the bounded metric that uses most of its bound, with it.
[[nodiscard]] std::string headline(const judge::CheckVerdict& check);

// A worse check sorts first: failures of required checks, open required ones, then the optional.
[[nodiscard]] int badness(const judge::CheckVerdict& check);
[[nodiscard]] std::vector<const judge::CheckVerdict*> worst_first(const judge::Verdict& verdict);

// A shape and a word: "● PASSED".
[[nodiscard]] std::string mark(Tone tone, std::string_view word);
[[nodiscard]] std::string code(std::string_view text);
// Text in which `backticks` mark what is to be typed.
[[nodiscard]] std::string prose(std::string_view text);
// "<data value="0.0123">12.3 ms</data>": readable, and exact for programs and on hover.
[[nodiscard]] std::string figure_text(double value, std::string_view unit);

[[nodiscard]] std::string check_anchor(std::string_view id, std::string_view device);
[[nodiscard]] std::string check_link(const judge::CheckVerdict& check, std::string_view shown);
// "record 12" linked to the appendix; an id that no record has is shown as missing.
[[nodiscard]] std::string record_link(const Material& material, std::string_view id);
[[nodiscard]] std::string record_links(const Material& material,
                                       const std::vector<std::string>& ids);

// A table with a header row; cells are HTML. `label` names it to a screen reader. Columns whose
// title starts with '#' hold numbers and are set right.
struct Table {
    std::string label;
    std::vector<std::string> columns;
    std::vector<std::vector<std::string>> rows_html;
    std::string style;  // an extra CSS class
};
[[nodiscard]] std::string table(const Table& content);

// A table whose last column is a bar: the head, then rows, then kBarsEnd. `left` and `width` are
// shares of the track, 0 to 1; `style` is "loss", "useful" or "either".
[[nodiscard]] std::string bars_head(std::string_view title, std::string_view names,
                                    std::string_view values);
[[nodiscard]] std::string bar_row(const std::string& name_html, const std::string& value_html,
                                  std::string_view style, double left, double width);
inline constexpr std::string_view kBarsEnd = "</tbody></table>\n";

// A chart for report.js: `drawing` is what it draws, `summary` says the same in one sentence to
// those who cannot see it, `numbers` is the table behind it.
struct Chart {
    std::string key;  // unique in the document
    std::string title;
    std::string summary;
    Json drawing;
    Table numbers;
    int height_px = 260;
};
[[nodiscard]] std::string chart(const Chart& content);

// "Not asked: ..." in a quiet box: the place where a picture would be.
[[nodiscard]] std::string not_asked(std::string_view what);

}  // namespace ascertain::report
