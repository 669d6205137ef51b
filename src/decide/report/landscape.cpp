// The plans that a search saw as points of time against memory: what fits, what does not, and the
// wall between them.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "decide/report/escape.hpp"
#include "decide/report/numbers.hpp"
#include "decide/report/sections.hpp"

namespace ascertain::report {
namespace {

constexpr double kWidth = 640.0;
constexpr double kHeight = 300.0;
constexpr double kLeft = 70.0;
constexpr double kBottom = 34.0;
constexpr double kRight = 14.0;
constexpr double kTop = 10.0;
constexpr double kStepsMax = 4.0;  // times the fastest: slower plans are drawn at the edge
constexpr double kBytesMax = 3.0;  // times the device
constexpr std::size_t kPointsMax = 400;

struct Point {
    std::string plan;
    double step_s = 0.0;
    double memory_bytes = 0.0;
    bool fits = false;
};

std::vector<Point> read_points(const Json& list) {
    std::vector<Point> points;
    if (!list.is_array()) return points;
    for (const Json& one : list) {
        const auto step = number(member(one, "step_s"));
        const auto bytes = number(member(one, "memory_bytes"));
        const Json& fits = member(one, "fits");
        if (!step || !bytes || *step <= 0.0 || !fits.is_boolean()) continue;
        points.push_back({text(member(one, "plan")), *step, *bytes, fits.get<bool>()});
        if (points.size() == kPointsMax) break;
    }
    return points;
}

// From nothing to the largest value that is drawn; larger ones lie on the edge.
struct Scale {
    double step_s = 1.0;
    double memory_bytes = 1.0;

    [[nodiscard]] double x(double seconds) const {
        return kLeft + (kWidth - kLeft - kRight) * std::min(1.0, seconds / step_s);
    }
    [[nodiscard]] double y(double bytes) const {
        return kHeight - kBottom - (kHeight - kBottom - kTop) * std::min(1.0, bytes / memory_bytes);
    }
};

Scale scale_of(const std::vector<Point>& points, double usable_bytes) {
    Scale scale{0.0, usable_bytes};
    double fastest = points.front().step_s;
    for (const Point& point : points) {
        fastest = std::min(fastest, point.step_s);
        scale.step_s = std::max(scale.step_s, point.step_s);
        scale.memory_bytes = std::max(scale.memory_bytes, point.memory_bytes);
    }
    scale.step_s = std::min(scale.step_s, kStepsMax * fastest) * 1.03;
    scale.memory_bytes = std::min(scale.memory_bytes, kBytesMax * usable_bytes) * 1.05;
    return scale;
}

std::string axes(const Scale& scale) {
    std::string svg = fmt::format("<path class=\"l-axis\" d=\"M{} {}V{}H{}\"/>\n", kLeft, kTop,
                                  kHeight - kBottom, kWidth - kRight);
    constexpr int kParts = 4;
    for (int i = 1; i <= kParts; ++i) {
        const double share = static_cast<double>(i) / kParts;
        const double seconds = share * scale.step_s;
        const double bytes = share * scale.memory_bytes;
        svg += fmt::format(
            "<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"end\">{}</text>\n"
            "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n",
            scale.x(seconds), kHeight - kBottom + 14.0, escaped(readable(seconds, "s")),
            kLeft - 5.0, scale.y(bytes) + 4.0, escaped(readable(bytes, "B")));
    }
    return svg + fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">one step</text>\n",
                             kWidth - kRight, kHeight - 4.0);
}

std::string dots(const std::vector<Point>& points, const Scale& scale) {
    std::string svg;
    for (const Point& point : points)
        svg += fmt::format(
            "<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\"><title>{}: {}, "
            "{}</title></circle>\n",
            point.fits ? "l-fits" : "l-over", scale.x(point.step_s), scale.y(point.memory_bytes),
            escaped(point.plan, 120), escaped(readable(point.step_s, "s")),
            escaped(readable(point.memory_bytes, "B")));
    return svg;
}

}  // namespace

std::string landscape_picture(const Json& document) {
    const std::vector<Point> points = read_points(member(document, "landscape"));
    const double usable = number(member(document, "usable_bytes")).value_or(0.0);
    if (points.empty() || usable <= 0.0) return {};
    const Scale scale = scale_of(points, usable);
    const auto fitting = std::ranges::count(points, true, &Point::fits);
    return fmt::format(
        "<h4>Time against memory</h4>\n<div class=\"landscape\"><svg viewBox=\"0 0 {} {}\" "
        "role=\"img\" aria-label=\"{} pairs of tensor and pipeline parallel sizes: step against "
        "memory of a device; {} fit\">\n{}<path class=\"l-wall\" d=\"M{} {:.1f}H{}\"/>\n<text "
        "x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">usable: {}</text>\n{}</svg></div>\n<p "
        "class=\"note\">One dot for each pair of tensor and pipeline parallel sizes: the fastest "
        "plan that fits (filled), or the leanest where none does (open). Time is the lower bound "
        "that the search prunes with. Far dots lie on the edge.</p>\n",
        kWidth, kHeight, points.size(), fitting, axes(scale), kLeft, scale.y(usable),
        kWidth - kRight, kWidth - kRight, scale.y(usable) - 4.0, escaped(readable(usable, "B")),
        dots(points, scale));
}

}  // namespace ascertain::report
