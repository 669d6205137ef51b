// One crew of workers here and workers on other nodes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "measure/agents/coordinator.hpp"
#include "measure/device/pool.hpp"

namespace ascertain::agents {

class Fleet final : public device::Workers {
public:
    // Member i is the next one of `remote` where `elsewhere[i]`, else the next one of `local`.
    Fleet(std::unique_ptr<Coordinator> remote, std::unique_ptr<device::Pool> local,
          const std::vector<bool>& elsewhere);

    [[nodiscard]] std::size_t size() const override { return places_.size(); }
    [[nodiscard]] bool idle(std::size_t member) const override;
    void ask(std::size_t member, device::Order order) override;
    [[nodiscard]] std::vector<device::Event> poll(Seconds wait) override;
    void kill_all() override;

private:
    struct Place {
        bool remote = false;
        std::size_t index = 0;  // among the remote or the local members
    };

    std::vector<Place> places_;
    std::vector<std::size_t> member_of_remote_;
    std::vector<std::size_t> member_of_local_;
    std::unique_ptr<Coordinator> remote_;
    std::unique_ptr<device::Pool> local_;
};

}  // namespace ascertain::agents
