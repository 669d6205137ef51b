// Plain text for a terminal: tables whose columns meet, and the verdict in a screenful. Nothing
// here prints; app does.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "decide/judge/verdict.hpp"

namespace ascertain::report {

enum class Align { kLeft, kRight };

struct TextColumn {
    std::string title;
    Align align = Align::kLeft;
};

struct TextStyle {
    bool colour = false;  // ANSI colours; only for a terminal
    std::size_t width =
        100;  // columns of the terminal; the last column is cut to fit; 0: never cut
};

// Terminal columns that `text` takes: two for wide East Asian characters and emoji, none for
// combining marks. Source: Unicode Standard Annex 11, reduced to its blocks.
[[nodiscard]] std::size_t display_width(std::string_view text);

// `text` cut to `width` columns, with "…" where it was cut.
[[nodiscard]] std::string cut_to_width(std::string_view text, std::size_t width);

// Header, rule, one line per row, two spaces between columns. Cells are cleaned of control
// characters and newlines. Rows shorter than the header are filled with blanks.
[[nodiscard]] std::string text_table(const std::vector<TextColumn>& columns,
                                     const std::vector<std::vector<std::string>>& rows,
                                     const TextStyle& style);

// What `qualify` ends with, in at most 25 lines: verdict and scope, tally, questions, the worst
// blockers with their remedy, the next rung.
[[nodiscard]] std::string verdict_summary(const judge::Verdict& verdict, const TextStyle& style);

// Every check, worst first: status, check, device, what was found, time.
[[nodiscard]] std::string checks_table(const judge::Verdict& verdict, const TextStyle& style);

// Measured beside predicted, what blocks first.
[[nodiscard]] std::string comparisons_table(const judge::Verdict& verdict, const TextStyle& style);

}  // namespace ascertain::report
