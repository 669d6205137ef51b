#include "worker/collectives/fabric.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "base/text.hpp"

#ifdef ASCERTAIN_GLOO
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#endif

namespace ascertain::collectives {
namespace {

constexpr std::array<std::pair<std::string_view, Kind>, 7> kKinds{{
    {"all_reduce", Kind::kAllReduce},
    {"all_gather", Kind::kAllGather},
    {"reduce_scatter", Kind::kReduceScatter},
    {"all_to_all", Kind::kAllToAll},
    {"broadcast", Kind::kBroadcast},
    {"send_recv", Kind::kSendRecv},
    {"barrier", Kind::kBarrier},
}};

#ifdef ASCERTAIN_GLOO

std::chrono::milliseconds to_ms(Seconds seconds) {
    return std::chrono::milliseconds(static_cast<std::int64_t>(seconds.count * 1e3));
}

class TcpStore final : public Store {
public:
    TcpStore() {
        c10d::TCPStoreOptions options;
        options.port = 0;
        options.isServer = true;
        options.waitWorkers = false;
        store_ = c10::make_intrusive<c10d::TCPStore>("127.0.0.1", options);
    }
    [[nodiscard]] int port() const override { return store_->getPort(); }

private:
    c10::intrusive_ptr<c10d::TCPStore> store_;
};

class Gloo final : public Fabric {
public:
    explicit Gloo(const Joining& joining) {
        c10d::TCPStoreOptions where;
        where.port = static_cast<std::uint16_t>(joining.port);
        where.waitWorkers = false;
        where.timeout = to_ms(joining.timeout);
        const auto store = c10::make_intrusive<c10d::PrefixStore>(
            joining.name, c10::make_intrusive<c10d::TCPStore>(joining.host, where));
        store->setTimeout(to_ms(joining.timeout));
        const auto options = c10d::ProcessGroupGloo::Options::create(to_ms(joining.timeout));
        options->devices.push_back(
            c10d::ProcessGroupGloo::createDeviceForHostname(joining.address));
        group_ = c10::make_intrusive<c10d::ProcessGroupGloo>(store, joining.rank, joining.ranks,
                                                             options);
    }

    [[nodiscard]] int rank() const override { return group_->getRank(); }
    [[nodiscard]] int ranks() const override { return group_->getSize(); }
    [[nodiscard]] std::string_view backend() const override { return "gloo"; }
    // Built from all-reduces (torch/csrc/distributed/c10d/ProcessGroupGloo.cpp): right results,
    // other traffic.
    [[nodiscard]] bool emulates(Kind kind) const override { return kind == Kind::kReduceScatter; }

    void run(Kind kind, const at::Tensor& in, at::Tensor& out) override {
        std::vector<at::Tensor> outs{out};
        std::vector<at::Tensor> ins{in};
        std::vector<std::int64_t> even;
        at::Tensor given = in;
        switch (kind) {
            case Kind::kAllReduce: {
                out.copy_(in);
                c10d::AllreduceOptions options;
                options.reduceOp = operation(in);
                group_->allreduce(outs, options)->wait();
                return;
            }
            case Kind::kAllGather: group_->_allgather_base(out, given)->wait(); return;
            case Kind::kReduceScatter: {
                c10d::ReduceScatterOptions options;
                options.reduceOp = operation(in);
                group_->_reduce_scatter_base(out, given, options)->wait();
                return;
            }
            case Kind::kAllToAll: group_->alltoall_base(out, given, even, even)->wait(); return;
            case Kind::kBroadcast:
                out.copy_(in);
                group_->broadcast(outs)->wait();
                return;
            case Kind::kSendRecv: {
                const int next = (rank() + 1) % ranks();
                const int before = (rank() + ranks() - 1) % ranks();
                const auto sent = group_->send(ins, next, kTag);
                group_->recv(outs, before, kTag)->wait();
                sent->wait();
                return;
            }
            case Kind::kBarrier: group_->barrier()->wait(); return;
        }
    }

private:
    static constexpr int kTag = 7;

    static c10d::ReduceOp operation(const at::Tensor& in) {
        return in.scalar_type() == at::kBool ? c10d::ReduceOp::MAX : c10d::ReduceOp::SUM;
    }

    c10::intrusive_ptr<c10d::ProcessGroupGloo> group_;
};

#else

Error no_backend() {
    return {ErrorCode::kUnsupported,
            "this worker was built without the headers of gloo (Debian: libgloo-dev), so it cannot "
            "send data between ranks",
            ""};
}

#endif

}  // namespace

std::string_view name_of(Kind kind) {
    for (const auto& [name, one] : kKinds) {
        if (one == kind) return name;
    }
    return "";
}

Result<Kind> kind_from(std::string_view name) {
    std::vector<std::string> names;
    for (const auto& [known, kind] : kKinds) {
        if (known == name) return kind;
        names.emplace_back(known);
    }
    return Error{
        ErrorCode::kBadInput,
        fmt::format("unknown collective \"{}\"{}", shortened(name, 32), did_you_mean(name, names)),
        "kind"};
}

bool reduces(Kind kind) {
    return kind == Kind::kAllReduce || kind == Kind::kReduceScatter;
}

#ifdef ASCERTAIN_GLOO

Result<std::shared_ptr<const Store>> serve_store() {
    return std::shared_ptr<const Store>(std::make_shared<TcpStore>());
}

Result<std::shared_ptr<Fabric>> join(const Joining& joining) {
    return std::shared_ptr<Fabric>(std::make_shared<Gloo>(joining));
}

#else

Result<std::shared_ptr<const Store>> serve_store() {
    return no_backend();
}

Result<std::shared_ptr<Fabric>> join(const Joining&) {
    return no_backend();
}

#endif

}  // namespace ascertain::collectives
