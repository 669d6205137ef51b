// One rank's place in a group of ranks, and the collectives it can take part in. The only folder
// that knows c10d; fabric.cpp is the only file that knows a backend.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "worker/host/torch.hpp"

namespace ascertain::collectives {

enum class Kind {
    kAllReduce,
    kAllGather,
    kReduceScatter,
    kAllToAll,
    kBroadcast,  // from rank 0
    kSendRecv,   // a ring: to the next rank, from the one before
    kBarrier,
};

// "all_reduce" and so on.
[[nodiscard]] std::string_view name_of(Kind kind);
// Errors: kBadInput with the near matches.
[[nodiscard]] Result<Kind> kind_from(std::string_view name);
// Whether contributions are added up, and not only moved.
[[nodiscard]] bool reduces(Kind kind);

// The store where ranks find one another; the process that made it must live as long as the group.
class Store {
public:
    virtual ~Store() = default;
    [[nodiscard]] virtual int port() const = 0;
};
// Serves on all addresses of this machine, at a free port. Errors: kUnsupported where torch came
// without a backend that we can use, kEnvironment when no port is to be had.
[[nodiscard]] Result<std::shared_ptr<const Store>> serve_store();

struct Joining {
    std::string host;     // where the store is served
    int port = 0;         //
    std::string name;     // of the group: one store serves many
    std::string address;  // of the network interface that this rank uses: "127.0.0.1"
    int rank = 0;
    int ranks = 1;
    Seconds timeout;  // of joining and of every collective
};

// Tensors are flat, contiguous and on the CPU. A collective that cannot end throws: the other side
// has left (at once), or did not come within the timeout. The group is of no use afterwards.
class Fabric {
public:
    virtual ~Fabric() = default;

    [[nodiscard]] virtual int rank() const = 0;
    [[nodiscard]] virtual int ranks() const = 0;
    [[nodiscard]] virtual std::string_view backend() const = 0;  // "gloo"
    // Whether the backend builds this one from others: its results count, its time does not.
    [[nodiscard]] virtual bool emulates(Kind kind) const = 0;

    // `in` and `out` per rank, e elements being one rank's piece:
    //   all_reduce e -> e;  all_gather e -> ranks e;  reduce_scatter ranks e -> e;
    //   all_to_all ranks e -> ranks e;  broadcast e -> e;  send_recv e -> e.
    // Reductions add, booleans are or-ed.
    virtual void run(Kind kind, const at::Tensor& in, at::Tensor& out) = 0;
};

// Waits until all ranks have joined. Throws when they do not within the timeout.
[[nodiscard]] Result<std::shared_ptr<Fabric>> join(const Joining& joining);

}  // namespace ascertain::collectives
