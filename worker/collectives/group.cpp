#include "worker/collectives/group.hpp"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <chrono>

#include "worker/collectives/requests.hpp"

namespace ascertain::collectives {
namespace {

constexpr std::string_view kKept = "collectives";

// What stays with the session from request to request.
struct Kept {
    std::shared_ptr<const Store> store;
    std::shared_ptr<Group> group;
};

Kept* kept_by(const worker::Session& session) {
    if (session.kept_key != kKept) return nullptr;
    return const_cast<Kept*>(
        static_cast<const Kept*>(session.kept.get()));  // made below, not const
}

Kept& keep_in(worker::Session& session) {
    if (kept_by(session) == nullptr) {
        session.kept_key = kKept;
        session.kept = std::make_shared<Kept>();
    }
    return *kept_by(session);
}

constexpr int kRanksMax = 1 << 20;
constexpr double kTimeoutMax_s = 3600.0;

// The first line; what follows is a stack of the library.
std::string first_line(const std::exception& why) {
    const auto* torch = dynamic_cast<const c10::Error*>(&why);
    const std::string text = torch != nullptr ? torch->what_without_backtrace() : why.what();
    return text.substr(0, text.find('\n'));
}

Result<Joining> joining_from(const Json& params) {
    constexpr std::string_view kWhere = "rendezvous";
    Joining joining;
    const auto rank = integer_at(params, "rank", kWhere);
    if (!rank) return rank.error();
    const auto ranks = integer_at(params, "ranks", kWhere);
    if (!ranks) return ranks.error();
    const auto port = integer_at(params, "port", kWhere);
    if (!port) return port.error();
    const auto timeout = number_at(params, "timeout_s", kWhere);
    if (!timeout) return timeout.error();
    for (const auto& [key, to] :
         {std::pair{"host", &joining.host}, std::pair{"name", &joining.name},
          std::pair{"address", &joining.address}}) {
        auto text = text_at(params, key, kWhere);
        if (!text) return text.error();
        *to = *std::move(text);
    }
    if (*ranks < 2 || *ranks > kRanksMax || *rank < 0 || *rank >= *ranks) {
        return Error{ErrorCode::kBadInput,
                     fmt::format("rank {} of {} ranks is none", *rank, *ranks),
                     std::string(kWhere)};
    }
    if (*port < 1 || *port > 65'535 || !(*timeout > 0.0 && *timeout <= kTimeoutMax_s)) {
        return Error{ErrorCode::kBadInput, "port or timeout_s is out of range",
                     std::string(kWhere)};
    }
    joining.rank = static_cast<int>(*rank);
    joining.ranks = static_cast<int>(*ranks);
    joining.port = static_cast<int>(*port);
    joining.timeout = {*timeout};
    return joining;
}

}  // namespace

std::shared_ptr<Group> group_of(const worker::Session& session) {
    const Kept* kept = kept_by(session);
    return kept == nullptr ? nullptr : kept->group;
}

void leave_group(const worker::Session& session) {
    if (Kept* kept = kept_by(session)) kept->group.reset();
}

Json stopped(std::string_view collective, std::int64_t number, Seconds waited,
             const std::exception& why) {
    return {{"collective", collective},
            {"number", number},
            {"waited_s", waited.count},
            {"message", first_line(why)}};
}

Result<Json> store(worker::Session& session, const Json& /*params*/) {
    const auto served = serve_store();
    if (!served) return served.error();
    keep_in(session).store = *served;
    return Json{{"port", (*served)->port()}};
}

Result<Json> rendezvous(worker::Session& session, const Json& params) {
    const auto joining = joining_from(params);
    if (!joining) return joining.error();
    Kept& kept = keep_in(session);
    kept.group.reset();
    const auto began = std::chrono::steady_clock::now();
    const auto taken = [&] {
        return Seconds{
            std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count()};
    };
    try {
        const auto fabric = join(*joining);
        if (!fabric) return fabric.error();
        const auto group = std::make_shared<Group>();
        group->fabric = *fabric;
        group->timeout = joining->timeout;
        kept.group = group;
        return Json{{"backend", group->fabric->backend()}, {"seconds", taken().count}};
    } catch (const std::exception& why) {
        return Json{{"stopped", stopped("rendezvous", 0, taken(), why)}};
    }
}

}  // namespace ascertain::collectives
