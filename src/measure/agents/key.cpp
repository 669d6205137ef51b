#include "measure/agents/key.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "base/json.hpp"

namespace ascertain::agents {
namespace {

constexpr std::size_t kKeyCharacters = 40;
constexpr std::size_t kFileBytesMax = 4096;
constexpr const char* kSchema = "ascertain.agent_key/1";

struct Pair {
    std::array<char, kKeyCharacters + 1> open{};
    std::array<char, kKeyCharacters + 1> secret{};
};

Error failure(const std::string& path, std::string_view what) {
    return Error{ErrorCode::kEnvironment,
                 fmt::format("{}: {}", what, std::generic_category().message(errno)), path};
}

bool write_whole(int file, std::string_view text) {
    return write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
           fsync(file) == 0;
}

Result<std::string> key_at(const Json& object, const char* name, const std::string& path) {
    auto text = text_at(object, name, path);
    if (!text) return text;
    std::array<std::uint8_t, 32> bytes{};
    if (text->size() != kKeyCharacters || zmq_z85_decode(bytes.data(), text->c_str()) == nullptr) {
        return Error{ErrorCode::kBadInput, fmt::format("\"{}\" is no key", name), path};
    }
    return text;
}

}  // namespace

Result<CampaignKey> make_campaign_key() {
    Pair coordinator;
    Pair agent;
    for (Pair* pair : {&coordinator, &agent}) {
        if (zmq_curve_keypair(pair->open.data(), pair->secret.data()) != 0) {
            return Error{ErrorCode::kEnvironment, "this libzmq was built without CURVE", {}};
        }
    }
    return CampaignKey{{coordinator.open.data(), agent.open.data(), agent.secret.data(), {}},
                       coordinator.secret.data()};
}

Result<void> write_agent_key(const AgentKey& key, const std::string& path) {
    const Json document{{"schema", kSchema},
                        {"coordinator_public", key.coordinator_public},
                        {"agent_public", key.agent_public},
                        {"agent_secret", key.agent_secret},
                        {"join", key.join}};
    const std::string beside = fmt::format("{}.{}", path, getpid());
    const int file = open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) return failure(path, "the key cannot be written");
    const bool written = write_whole(file, document.dump() + "\n");
    close(file);
    if (!written || rename(beside.c_str(), path.c_str()) != 0) {
        const Error error = failure(path, "the key cannot be written");
        unlink(beside.c_str());
        return error;
    }
    return {};
}

Result<AgentKey> read_agent_key(const std::string& path) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return failure(path, "the key cannot be read");
    struct stat status = {};
    std::string text(kFileBytesMax, '\0');
    const bool known = fstat(file, &status) == 0;
    const ssize_t got = read(file, text.data(), text.size());
    close(file);
    if (!known || got < 0) return failure(path, "the key cannot be read");
    if ((status.st_mode & 077) != 0) {
        return Error{ErrorCode::kBadInput,
                     "others than its owner can reach this key; chmod 600 it, or start again with "
                     "a fresh one",
                     path};
    }
    text.resize(static_cast<std::size_t>(got));
    const auto document = parse_json(text, path);
    if (!document) return document.error();
    if (!document->is_object() || document->value("schema", Json()) != kSchema) {
        return Error{ErrorCode::kBadInput, fmt::format("no document of {}", kSchema), path};
    }
    AgentKey key;
    for (const auto& [name, place] : {std::pair{"coordinator_public", &key.coordinator_public},
                                      std::pair{"agent_public", &key.agent_public},
                                      std::pair{"agent_secret", &key.agent_secret}}) {
        auto text_of_key = key_at(*document, name, path);
        if (!text_of_key) return text_of_key.error();
        *place = *std::move(text_of_key);
    }
    auto join = text_at(*document, "join", path);
    if (!join) return join.error();
    key.join = *std::move(join);
    return key;
}

}  // namespace ascertain::agents
