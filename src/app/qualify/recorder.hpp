// Writes a qualification down as it happens, and shows it to whoever watches.
#pragma once

#include <string>

#include "app/terminal.hpp"
#include "base/result.hpp"
#include "decide/evidence/store.hpp"
#include "decide/judge/criteria.hpp"
#include "measure/qualification/runner.hpp"

namespace ascertain::app {

class Recorder final : public qualification::Observer {
public:
    // Everything given must outlive the recorder.
    Recorder(evidence::Store& store, Terminal& terminal, const judge::CriteriaSet& criteria,
             const qualification::Plan& plan, checks::Profile profile);

    void attempt_began(const qualification::Item& item, qualification::Role role,
                       int number) override;
    void progressed(const qualification::Item& item, qualification::Role role,
                    const device::Progress& progress) override;
    // Writes the attempt, and after a calibration what it foretells of speed.gemm on that device.
    Result<void> attempt_ended(const qualification::Item& item,
                               const qualification::Attempt& attempt) override;

private:
    Result<void> foretell(const qualification::Attempt& calibration);
    void show(const qualification::Item& item, const qualification::Attempt& attempt);

    evidence::Store& store_;
    Terminal& terminal_;
    const judge::CriteriaSet& criteria_;
    const qualification::Plan& plan_;
    checks::Profile profile_;
    std::size_t answered_ = 0;  // items measured so far
};

}  // namespace ascertain::app
