#include "decide/report/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "base/text.hpp"

#include "decide/report/escape.hpp"
#include "decide/report/numbers.hpp"
#include "decide/report/parts.hpp"
#include "decide/report/wording.hpp"

namespace ascertain::report {
namespace {

constexpr std::size_t kBlockersShown = 4;
constexpr std::size_t kSettlesShown = 2;
constexpr std::size_t kReasonBytesMax = 400;

// Bytes of the character that `text`, which is valid UTF-8 and not empty, begins with.
std::size_t length_of(std::string_view text) {
    const auto first = static_cast<std::uint8_t>(text[0]);
    const std::size_t length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    return std::min(length, text.size());
}

std::uint32_t code_of(std::string_view character) {
    if (character.size() == 1) return static_cast<std::uint8_t>(character[0]);
    std::uint32_t code =
        static_cast<std::uint8_t>(character[0]) & (0xFFu >> (character.size() + 1));
    for (std::size_t i = 1; i < character.size(); ++i) {
        code = (code << 6) | (static_cast<std::uint8_t>(character[i]) & 0x3Fu);
    }
    return code;
}

struct Block {
    std::uint32_t first, last;
};
constexpr Block kZero[] = {{0x0300, 0x036F}, {0x200B, 0x200F}, {0x20D0, 0x20FF},
                           {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}, {0xE0100, 0xE01EF}};
constexpr Block kWide[] = {{0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0x33FF},
                           {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xA000, 0xA4CF},
                           {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},
                           {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},   {0x1F300, 0x1F64F},
                           {0x1F680, 0x1F6FF}, {0x1F900, 0x1FAFF}, {0x20000, 0x3FFFD}};

std::size_t width_of(std::uint32_t code) {
    const auto holds = [&](const Block& block) {
        return code >= block.first && code <= block.last;
    };
    if (std::ranges::any_of(kZero, holds)) return 0;
    return std::ranges::any_of(kWide, holds) ? 2 : 1;
}

// One line of valid UTF-8 without control characters.
std::string one_line(std::string_view text) {
    std::string line = cleaned(text);
    std::ranges::replace(line, '\n', ' ');
    std::ranges::replace(line, '\t', ' ');
    return line;
}

std::string padded(const std::string& cell, std::size_t width, Align align) {
    const std::size_t own = display_width(cell);
    const std::string blanks(width > own ? width - own : 0, ' ');
    return align == Align::kRight ? blanks + cell : cell + blanks;
}

std::string coloured(Tone tone, const std::string& text, const TextStyle& style) {
    static constexpr std::string_view kCodes[] = {"32", "33", "31", "2"};
    if (!style.colour) return text;
    return fmt::format("\033[{}m{}\033[0m", kCodes[static_cast<int>(tone)], text);
}

std::string marked(Tone tone, std::string_view word, const TextStyle& style) {
    return coloured(tone, fmt::format("{} {}", mark_of(tone), word), style);
}

void line(std::string& text, std::string_view content, const TextStyle& style, std::size_t indent) {
    const std::size_t room = style.width == 0 ? 0 : style.width - std::min(style.width - 1, indent);
    text += std::string(indent, ' ');
    text += room == 0 ? one_line(content) : cut_to_width(one_line(content), room);
    text += '\n';
}

// Escape sequences have no width; what is measured is the text between them.
std::string without_colour(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\033') {
            plain += text[i];
            continue;
        }
        while (i < text.size() && text[i] != 'm') ++i;
    }
    return plain;
}

}  // namespace

std::size_t display_width(std::string_view text) {
    const std::string plain = without_colour(text);
    std::string_view rest = plain;
    std::size_t width = 0;
    while (!rest.empty()) {
        const std::size_t length = length_of(rest);
        width += width_of(code_of(rest.substr(0, length)));
        rest.remove_prefix(length);
    }
    return width;
}

std::string cut_to_width(std::string_view text, std::size_t width) {
    if (display_width(text) <= width) return std::string(text);
    std::string kept;
    std::size_t used = 0;
    while (!text.empty()) {
        const std::size_t length = length_of(text);
        const std::size_t own = width_of(code_of(text.substr(0, length)));
        if (used + own + 1 > width) break;
        kept += text.substr(0, length);
        used += own;
        text.remove_prefix(length);
    }
    return width == 0 ? std::string() : kept + "…";
}

std::string text_table(const std::vector<TextColumn>& columns,
                       const std::vector<std::vector<std::string>>& rows, const TextStyle& style) {
    if (columns.empty()) return {};
    std::vector<std::size_t> widths;
    for (const auto& column : columns) widths.push_back(display_width(column.title));
    std::vector<std::vector<std::string>> cells = rows;
    for (auto& row : cells) {
        row.resize(columns.size());
        for (std::size_t i = 0; i < row.size(); ++i) {
            const bool painted = row[i].find('\033') != std::string::npos && style.colour;
            if (!painted) row[i] = one_line(row[i]);
            widths[i] = std::max(widths[i], display_width(row[i]));
        }
    }
    const std::size_t before = std::accumulate(widths.begin(), widths.end() - 1, std::size_t{0}) +
                               2 * (columns.size() - 1);
    const bool fits = style.width == 0 || before + widths.back() <= style.width;
    if (!fits)
        widths.back() = std::max<std::size_t>(12, style.width - std::min(style.width, before));

    std::string text;
    const auto add = [&](const auto& cell_of) {
        std::string row;
        for (std::size_t i = 0; i < columns.size(); ++i) {
            const std::string cell = cut_to_width(cell_of(i), widths[i]);
            row += (i == 0 ? "" : "  ") + padded(cell, widths[i], columns[i].align);
        }
        row.erase(row.find_last_not_of(' ') + 1);
        text += row + "\n";
    };
    add([&](std::size_t i) { return columns[i].title; });
    text +=
        std::string(std::accumulate(widths.begin(), widths.end(), 2 * (columns.size() - 1)), '-') +
        "\n";
    for (const auto& row : cells) add([&](std::size_t i) { return row[i]; });
    return text;
}

std::string verdict_summary(const judge::Verdict& verdict, const TextStyle& style) {
    const std::string contradiction = contradiction_in(verdict);
    const Tone tone = contradiction.empty() ? tone_of(verdict.verdict) : Tone::kOpen;
    std::string text = marked(tone, words_of(verdict.verdict), style) + "\n";
    line(text, scope_sentence(verdict), style, 2);
    line(text, contradiction.empty() ? sentence(tally_of(verdict)) : contradiction, style, 2);
    for (std::size_t i = 0; i < kQuestions; ++i) {
        const auto& answer = verdict.*question(i).answer;
        const std::string status = answer.status.empty() ? "UNKNOWN" : answer.status;
        const std::string head =
            fmt::format("{} {:<8}{:<14}", mark_of(tone_of(answer)), question(i).title, status);
        const std::size_t room =
            style.width == 0 ? 0 : style.width - std::min(style.width - 1, std::size_t{26});
        const std::string said =
            one_line(answer.summary.empty() ? "nothing was said about it" : answer.summary);
        text += coloured(tone_of(answer), head, style) + "  " +
                (room == 0 ? said : cut_to_width(said, room)) + "\n";
    }
    const auto order = blockers_worst_first(verdict);
    const std::size_t blockers = order.size();
    if (blockers > 0) text += "What blocks it:\n";
    for (std::size_t i = 0; i < std::min(blockers, kBlockersShown); ++i) {
        const auto& blocker = *order[i];
        line(text, fmt::format("{}: {}", blocker.check, shortened(blocker.reason, kReasonBytesMax)),
             style, 2);
        line(text, blocker.remedy.empty() ? "no remedy is known" : blocker.remedy, style, 4);
    }
    if (blockers > kBlockersShown)
        line(text, fmt::format("and {} more", blockers - kBlockersShown), style, 2);
    for (const auto& waiver : verdict.waivers) {
        line(text,
             fmt::format("Waived by {} until {}: {} (of {})", waiver.by, waiver.until, waiver.check,
                         verdict.waivers.size()),
             style, 0);
        break;
    }
    const auto& next = verdict.next_rung;
    if (next.rung.empty()) return text;
    line(text,
         fmt::format("Next rung: {}, {} device-hours, settles:", next.rung,
                     next.device_hours ? readable(*next.device_hours, "") : "an unknown number of"),
         style, 0);
    for (std::size_t i = 0; i < std::min(next.settles.size(), kSettlesShown); ++i)
        line(text, next.settles[i], style, 2);
    if (next.settles.size() > kSettlesShown) {
        line(text, fmt::format("and {} more", next.settles.size() - kSettlesShown), style, 2);
    }
    return text;
}

std::string checks_table(const judge::Verdict& verdict, const TextStyle& style) {
    std::vector<std::vector<std::string>> rows;
    for (const auto* check : worst_first(verdict)) {
        rows.push_back(
            {marked(tone_of(*check), judge::name_of(check->status), style),
             shortened(check->id, 60), shortened(check->device, 30),
             readable(check->duration_s, "s"),
             shortened(check->reason.empty() ? headline(*check) : check->reason, kReasonBytesMax)});
    }
    if (rows.empty()) return "No check was run.\n";
    return text_table(
        {{"Status"}, {"Check"}, {"Device"}, {"Took", Align::kRight}, {"What was found"}}, rows,
        style);
}

std::string comparisons_table(const judge::Verdict& verdict, const TextStyle& style) {
    if (verdict.comparisons.empty()) return "Nothing was foretold.\n";
    std::vector<const judge::Comparison*> order;
    for (const auto& comparison : verdict.comparisons) order.push_back(&comparison);
    std::ranges::stable_sort(order, std::greater{}, [](const auto* c) { return attention(*c); });
    std::vector<std::vector<std::string>> rows;
    for (const auto* comparison : order) {
        const auto& foretold = comparison->prediction;
        rows.push_back({marked(tone_of(*comparison), words_of(*comparison), style),
                        shortened(foretold.id, 60), shortened(foretold.device, 30),
                        readable(foretold.value, foretold.unit),
                        fmt::format("{} to {}", readable(foretold.low, foretold.unit),
                                    readable(foretold.high, foretold.unit)),
                        comparison->measured ? readable(*comparison->measured, foretold.unit)
                                             : "not measured"});
    }
    return text_table({{"Result"},
                       {"Prediction"},
                       {"Device"},
                       {"Foretold", Align::kRight},
                       {"80 % interval", Align::kRight},
                       {"Measured", Align::kRight}},
                      rows, style);
}

}  // namespace ascertain::report
