// publish: writes the model of `weights` into a folder, as `transformers` reads it.
#include <string>

#include "worker/serving/requests.hpp"
#include "worker/serving/served.hpp"
#include "worker/training/job.hpp"
#include "worker/training/publish.hpp"

namespace ascertain::serving {

Result<Json> publish(worker::Session& session, const Json& params) {
    const auto folder = text_at(params, "folder", "params");
    if (!folder) return folder.error();
    const auto shard_bytes =
        training::bounded_integer(params, "shard_bytes", 1, std::int64_t{1} << 50,
                                  static_cast<std::int64_t>(training::kShardBytes));
    if (!shard_bytes) return shard_bytes.error();
    const auto served = served_from_json(session, params);
    if (!served) return served.error();
    const auto written = training::write_published(served->model(), *folder,
                                                   static_cast<std::uint64_t>(*shard_bytes));
    if (!written) return written.error();
    return Json{{"folder", *folder}};
}

}  // namespace ascertain::serving
