// The workers of one qualification: one per device, and the reference as the last member.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/agents.hpp"
#include "app/home.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "measure/device/clock.hpp"
#include "measure/device/pool.hpp"
#include "measure/qualification/runner.hpp"

namespace ascertain::app {

struct Crew {
    std::vector<std::string> devices;
    std::vector<qualification::Rank> ranks;  // who is asked together; two at least, or none
    std::unique_ptr<device::SteadyClock> clock;
    std::unique_ptr<device::Workers> pool;
    const agents::Coordinator* nodes = nullptr;  // within the pool; null: this machine alone
    std::vector<Json>
        descriptions;  // what each device answered; {"device", "unusable"} when it did not

    [[nodiscard]] std::size_t reference() const { return devices.size(); }
    // The device of each rank; of one device alone, that device.
    [[nodiscard]] std::vector<std::string> rank_devices() const;
};

struct CrewQuestion {
    std::vector<std::string> devices;
    std::string reference;
    std::string defects;     // the defect file that simulated devices are armed with; empty: none
    std::int64_t ranks = 0;  // processes asked together, dealt out over the devices; 0: one each
    std::string module{};    // FILE.py:FUNCTION that every worker here loads; empty: none
};

// Starts nothing yet: workers start at their first request. Members are the devices, the reference,
// and then the ranks that share a device with another one. `remote` keeps the devices of other
// nodes; null: there are none. Errors: kUsage when there are defects and no simulated device here,
// or fewer ranks than devices.
[[nodiscard]] Result<Crew> assemble(const Home& home, const CrewQuestion& question,
                                    std::unique_ptr<device::SteadyClock> clock,
                                    std::unique_ptr<agents::Coordinator> remote);

// Asks every device what it is. With `named`, a device that cannot say is kDeviceUnavailable: the
// user asked for it by name. Otherwise the checks will find out.
[[nodiscard]] Result<void> describe_all(Crew& crew, bool named);

}  // namespace ascertain::app
