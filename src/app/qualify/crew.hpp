// The workers of one qualification: one per device, and the reference as the last member.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/home.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "measure/device/clock.hpp"
#include "measure/device/pool.hpp"

namespace ascertain::app {

struct Crew {
    std::vector<std::string> devices;
    std::unique_ptr<device::SteadyClock> clock;
    std::unique_ptr<device::Pool> pool;
    std::vector<Json>
        descriptions;  // what each device answered; {"device", "unusable"} when it did not

    [[nodiscard]] std::size_t reference() const { return devices.size(); }
};

// Starts nothing yet: workers start at their first request. `defects` is the defect file that
// simulated devices are armed with; empty: none. Errors: kUsage when there are defects and no
// simulated device.
[[nodiscard]] Result<Crew> assemble(const Home& home, const std::vector<std::string>& devices,
                                    const std::string& reference, const std::string& defects);

// Asks every device what it is. With `named`, a device that cannot say is kDeviceUnavailable: the
// user asked for it by name. Otherwise the checks will find out.
[[nodiscard]] Result<void> describe_all(Crew& crew, bool named);

}  // namespace ascertain::app
