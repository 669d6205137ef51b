#include "app/qualify/recorder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "app/files.hpp"
#include "app/names.hpp"
#include "app/qualify/conversion.hpp"
#include "app/qualify/predictions.hpp"
#include "app/qualify/reproducer.hpp"
#include "base/text.hpp"
#include "base/units.hpp"
#include "measure/checks/cases.hpp"

namespace ascertain::app {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kCalibration = "speed.calibration";
constexpr std::string_view kForetold = "speed.gemm";

// One word for people: what the criteria say of a completed attempt, else how it ended.
std::string word_of(const judge::CriteriaSet& criteria, const qualification::Attempt& attempt) {
    if (attempt.outcome != qualification::Outcome::kCompleted) {
        return std::string(qualification::name_of(attempt.outcome));
    }
    switch (judge::opinion(criteria, attempt.check, attempt.observation).holds) {
        case judge::Holds::kMet: return "met";
        case judge::Holds::kNotMet: return "not met";
        case judge::Holds::kWeak: return "recorded";
    }
    return "recorded";
}

bool is_control(qualification::Role role) {
    return role == qualification::Role::kControl || role == qualification::Role::kControlClean;
}

}  // namespace

Recorder::Recorder(evidence::Store& store, Terminal& terminal, const judge::CriteriaSet& criteria,
                   const qualification::Plan& plan, const QualifyOptions& options)
    : store_(store), terminal_(terminal), criteria_(criteria), plan_(plan), options_(options) {}

void Recorder::attempt_began(const qualification::Item& item, qualification::Role role,
                             int number) {
    terminal_.status(
        fmt::format("[{}/{}] {} on {} {}{}", answered_, plan_.items.size(), item.id, item.device,
                    role == qualification::Role::kMeasure ? "" : qualification::name_of(role),
                    number > 1 ? fmt::format(" (try {})", number) : ""));
}

void Recorder::progressed(const qualification::Item& item, qualification::Role /*role*/,
                          const device::Progress& progress) {
    terminal_.status(fmt::format("[{}/{}] {} on {}: {:.0f} % {}", answered_, plan_.items.size(),
                                 item.id, item.device, 100.0 * progress.share, progress.text));
}

Result<void> Recorder::attempt_ended(const qualification::Item& item,
                                     const qualification::Attempt& attempt) {
    evidence::Attempt record = to_evidence(attempt);
    if (!attempt.stderr_text.empty()) {
        auto blob = store_.put_blob(attempt.stderr_text);
        if (!blob) return blob.error();
        record.blobs.push_back(*std::move(blob));
    }
    if (auto kept = keep_reproducer(item, attempt, record); !kept) return kept.error();
    const auto written = store_.append("attempt", evidence::to_json(record));
    if (!written) return written.error();
    if (attempt.role == qualification::Role::kMeasure) ++answered_;
    show(item, attempt);
    const bool calibrated = attempt.check == kCalibration &&
                            attempt.role == qualification::Role::kMeasure &&
                            attempt.outcome == qualification::Outcome::kCompleted;
    return calibrated ? foretell(attempt) : Result<void>{};
}

Result<void> Recorder::keep_reproducer(const qualification::Item& item,
                                       const qualification::Attempt& attempt,
                                       evidence::Attempt& record) {
    if (is_control(attempt.role)) return {};
    auto one = culprit(criteria_, item, attempt);
    if (!one) return {};
    const fs::path folder = store_.directory() / "cases";
    std::error_code failed;
    fs::create_directories(folder, failed);
    const std::string path = (folder / (checks::case_id(*one) + ".json")).string();
    auto written = write_file(path, one->dump(1) + "\n");
    if (!written) return written;
    std::string flags;
    if (options_.profile != checks::Profile::kQuick)
        flags += fmt::format(" --profile {}", name_of(options_.profile));
    if (!options_.module.empty()) flags += fmt::format(" --module {}", options_.module);
    if (!options_.defects.empty()) flags += fmt::format(" --defects {}", options_.defects);
    record.reproduce = reproducer(attempt, path, flags);
    record.detail["case"] = *std::move(one);
    return {};
}

Result<void> Recorder::foretell(const qualification::Attempt& calibration) {
    const auto item = std::ranges::find_if(plan_.items, [&](const qualification::Item& planned) {
        return planned.id == kForetold && planned.device == calibration.device;
    });
    if (item == plan_.items.end()) return {};
    const checks::Context context{
        *item->subject, {}, calibration.seed, options_.profile, item->budget};
    for (const auto& prediction :
         gemm_predictions(calibration.device, calibration.detail, context)) {
        const auto written = store_.append("prediction", evidence::to_json(prediction));
        if (!written) return written.error();
    }
    return {};
}

void Recorder::show(const qualification::Item& item, const qualification::Attempt& attempt) {
    const bool quiet_success =
        is_control(attempt.role) || attempt.outcome == qualification::Outcome::kSkipped;
    if (quiet_success) return;
    const std::string word = word_of(criteria_, attempt);
    const Style style = word == "met"        ? Style::kGreen
                        : word == "recorded" ? Style::kDim
                                             : Style::kRed;
    terminal_.say(fmt::format(
        "[{}/{}] {:<9} {} on {} ({}){}", answered_, plan_.items.size(),
        terminal_.styled(word, style), item.id, item.device, format_duration(attempt.duration),
        attempt.message.empty() ? "" : ": " + shortened(attempt.message, 100)));
}

}  // namespace ascertain::app
