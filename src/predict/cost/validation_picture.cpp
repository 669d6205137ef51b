// docs/validation.svg: every row left out, predicted against measured, and the peers' errors
// beside.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "predict/cost/page.hpp"
#include "predict/cost/validation.hpp"

namespace ascertain::cost {
namespace {

constexpr double kSide = 420.0;  // of the square of points
constexpr double kLeft = 64.0;
constexpr double kTop = 40.0;
constexpr double kBarsLeft = 560.0;
constexpr double kBarsWidth = 250.0;
constexpr double kRow = 34.0;
constexpr std::string_view kStyle =
    "<style>text{font:12px system-ui,sans-serif;fill:#24292f}.title{font-weight:600}"
    ".axis{stroke:#8c959f;fill:none}.grid{stroke:#d8dee4;fill:none}.band{fill:#ddf4ff}"
    ".half{fill:#eef7fc}.dense{fill:#0969da;fill-opacity:.55}.experts{fill:#bc4c00;"
    "fill-opacity:.6}.ours{fill:#0969da}.peer{fill:#8c959f}.paper{fill:#fff}</style>\n";

struct Point {
    double measured = 0.0;  // log10 of seconds
    double predicted = 0.0;
    bool experts = false;
};

// Both axes are logarithms of seconds over the same decades, so that the diagonal is the truth.
class Axes {
public:
    explicit Axes(const std::vector<Point>& points) {
        double low = 0.0;
        double high = 1.0;
        for (const Point& point : points) {
            low = std::min({low, point.measured, point.predicted});
            high = std::max({high, point.measured, point.predicted});
        }
        low_ = std::floor(low);
        high_ = std::ceil(high);
    }
    [[nodiscard]] double x(double value) const { return kLeft + kSide * share(value); }
    [[nodiscard]] double y(double value) const { return kTop + kSide * (1.0 - share(value)); }
    [[nodiscard]] int first() const { return static_cast<int>(low_); }
    [[nodiscard]] int last() const { return static_cast<int>(high_); }

private:
    [[nodiscard]] double share(double value) const {
        return std::clamp((value - low_) / (high_ - low_), 0.0, 1.0);
    }
    double low_ = 0.0;
    double high_ = 1.0;
};

// What lies within `error` of the diagonal.
void draw_band(Page& svg, const Axes& axes, double error, const char* style) {
    const double up = std::log10(1.0 + error);
    const double down = std::log10(1.0 - error);
    const double a = axes.first();
    const double b = axes.last();
    svg.line(R"(<path class="{}" d="M{:.1f} {:.1f}L{:.1f} {:.1f}L{:.1f} {:.1f}L{:.1f} {:.1f}z"/>)",
             style, axes.x(a), axes.y(a + up), axes.x(b), axes.y(b + up), axes.x(b),
             axes.y(b + down), axes.x(a), axes.y(a + down));
}

void draw_points(Page& svg, const std::vector<Point>& points) {
    const Axes axes(points);
    svg.line(
        R"(<text class="title" x="{}" y="22">Step time of {} published rows, their series left out</text>)",
        kLeft, points.size());
    draw_band(svg, axes, 0.2, "half");
    draw_band(svg, axes, 0.1, "band");
    for (int decade = axes.first(); decade <= axes.last(); ++decade) {
        const double x = axes.x(decade);
        const double y = axes.y(decade);
        const std::string seconds = fmt::format("{:g} s", std::pow(10.0, decade));
        svg.line(R"(<path class="grid" d="M{:.1f} {:.1f}V{:.1f}M{:.1f} {:.1f}H{:.1f}"/>)", x, kTop,
                 kTop + kSide, kLeft, y, kLeft + kSide);
        svg.line(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>)", x,
                 kTop + kSide + 16.0, seconds);
        svg.line(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>)", kLeft - 6.0, y + 4.0,
                 seconds);
    }
    svg.line(R"(<path class="axis" d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>)", axes.x(axes.first()),
             axes.y(axes.first()), axes.x(axes.last()), axes.y(axes.last()));
    for (const Point& point : points)
        svg.line(R"(<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="3"/>)",
                 point.experts ? "experts" : "dense", axes.x(point.measured),
                 axes.y(point.predicted));
    svg.line(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="middle">measured</text>)",
             kLeft + kSide / 2.0, kTop + kSide + 34.0);
    svg.line(
        R"-(<text transform="translate(14 {:.1f}) rotate(-90)" text-anchor="middle">predicted</text>)-",
        kTop + kSide / 2.0);
    svg.line(R"(<circle class="dense" cx="{}" cy="{}" r="4"/><text x="{}" y="{}">dense</text>)",
             kLeft + 14.0, kTop + 16.0, kLeft + 24.0, kTop + 20.0);
    svg.line(R"(<circle class="experts" cx="{}" cy="{}" r="4"/><text x="{}" y="{}">experts</text>)",
             kLeft + 14.0, kTop + 34.0, kLeft + 24.0, kTop + 38.0);
    svg.line(R"(<text x="{}" y="{}">bands: 10 % and 20 %</text>)", kLeft + 10.0, kTop + 56.0);
}

struct Bar {
    std::string name;
    double mean = 0.0;
    bool ours = false;
};

// Mean errors on one source's rows, ours left out and fitted, then every setting of a peer.
std::vector<Bar> bars_of(const std::vector<ScoreRow>& left_out, const std::vector<ScoreRow>& fitted,
                         const std::vector<PeerScore>& peers, const std::string& series) {
    const auto mean = [&](const std::vector<ScoreRow>& rows) {
        std::vector<const ScoreRow*> members;
        for (const ScoreRow& row : rows)
            if (row.series == series) members.push_back(&row);
        return summarise(members);
    };
    std::vector<Bar> bars;
    for (const auto& [name, rows] :
         {std::pair{"ours, series left out", &left_out}, std::pair{"ours, fitted", &fitted}}) {
        const ScoreSummary summary = mean(*rows);
        bars.push_back({fmt::format("{} ({} rows)", name, summary.count), summary.mape, true});
    }
    for (const PeerScore& peer : peers)
        if (peer.series == series)
            bars.push_back({fmt::format("{} ({} rows)", peer.name, peer.count), peer.mape, false});
    return bars;
}

void draw_bars(Page& svg, const std::vector<Bar>& bars, const std::string& series) {
    svg.line(R"(<text class="title" x="{}" y="22">Mean error on {}</text>)", kBarsLeft, series);
    double most = 0.0;
    for (const Bar& bar : bars) most = std::max(most, bar.mean);
    double y = kTop;
    for (const Bar& bar : bars) {
        const double width = most > 0.0 ? kBarsWidth * bar.mean / most : 0.0;
        svg.line(R"(<text x="{}" y="{:.1f}">{}</text>)", kBarsLeft, y + 11.0, bar.name);
        svg.line(R"(<rect class="{}" x="{}" y="{:.1f}" width="{:.1f}" height="12"/>)",
                 bar.ours ? "ours" : "peer", kBarsLeft, y + 16.0, width);
        svg.line(R"(<text x="{:.1f}" y="{:.1f}">{:.1f} %</text>)", kBarsLeft + width + 6.0,
                 y + 26.0, 100.0 * bar.mean);
        y += kRow + 6.0;
    }
}

}  // namespace

std::string validation_picture(const std::vector<PublishedRun>& runs, const Validation& v,
                               const std::vector<PeerScore>& peers) {
    std::vector<Point> points;
    for (std::size_t i = 0; i < runs.size(); ++i)
        if (std::isfinite(v.series[i]) && runs[i].measured_step_s > 0.0)
            points.push_back({std::log10(runs[i].measured_step_s), v.series[i] / std::log(10.0),
                              runs[i].experts});
    const Score left_out = score_predictions(runs, v.series, v.width);
    const Score fitted = score_predictions(runs, v.inside, v.width);
    Page svg;
    svg.line(
        R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 510" role="img" aria-label="Predicted against measured step time; mean errors beside those of other predictors">)");
    svg.line("{}<rect class=\"paper\" width=\"900\" height=\"510\"/>", kStyle);
    draw_points(svg, points);
    if (!peers.empty())
        draw_bars(svg, bars_of(left_out.rows, fitted.rows, peers, peers.front().series),
                  peers.front().series);
    svg.line("</svg>");
    return std::move(svg).text();
}

}  // namespace ascertain::cost
