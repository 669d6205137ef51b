#include "worker/training/checkpoint.hpp"

#include <c10/core/GradMode.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>

#include "base/json.hpp"
#include "base/text.hpp"
#include "worker/training/planted/points.hpp"
#include "worker/training/safetensors.hpp"

namespace ascertain::training {
namespace {

constexpr std::string_view kSchema = "ascertain.checkpoint/1";
constexpr const char* kModelFile = "model.safetensors";
constexpr const char* kOptimizerFile = "optimizer.safetensors";
constexpr const char* kTrainerFile = "trainer.json";
constexpr std::string_view kStepPrefix = "step-";
constexpr std::string_view kPartial = ".partial";

Error unreadable(const std::filesystem::path& path) {
    return {ErrorCode::kEnvironment, "cannot be read", path.string()};
}

Result<std::string> contents(const std::filesystem::path& path) {
    const std::ifstream file(path, std::ios::binary);
    if (!file) return unreadable(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::vector<NamedTensor> model_tensors(const Trainer& trainer) {
    std::vector<NamedTensor> tensors;
    for (const Parameter& parameter : trainer.model().parameters().all()) {
        for (NamedTensor& tensor : on_disk(parameter, parameter.value)) {
            tensors.push_back(std::move(tensor));
        }
    }
    return tensors;
}

std::vector<NamedTensor> optimizer_tensors(const Trainer& trainer) {
    std::vector<NamedTensor> tensors;
    std::size_t index = 0;
    for (const Parameter& parameter : trainer.model().parameters().all()) {
        if (!parameter.trained) continue;
        const Moments& moments = trainer.optimizer().moments()[index++];
        for (const NamedTensor& tensor : on_disk(parameter, moments.first)) {
            tensors.push_back({"first." + tensor.name, tensor.value});
        }
        for (const NamedTensor& tensor : on_disk(parameter, moments.second)) {
            tensors.push_back({"second." + tensor.name, tensor.value});
        }
        tensors.push_back({"steps." + parameter.name, moments.steps});
    }
    return tensors;
}

// Everything that a run's next step depends on besides its tensors.
Json description_of(const Trainer& trainer) {
    return {{"schema", kSchema},
            {"position", trainer.position()},
            {"seed", trainer.seed()},
            {"ranks", 1},
            {"recipe", to_json(trainer.recipe())},
            {"architecture", model::to_json(trainer.model().architecture())}};
}

bool flush_folder(const std::filesystem::path& folder) {
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return false;
    const bool flushed = ::fsync(descriptor) == 0;
    ::close(descriptor);
    return flushed;
}

Result<void> write_text(const std::filesystem::path& path, const std::string& text) {
    std::ofstream file(path, std::ios::binary);
    file << text;
    file.close();
    if (!file) return Error{ErrorCode::kEnvironment, "could not be written", path.string()};
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const bool flushed = descriptor >= 0 && ::fsync(descriptor) == 0;
    if (descriptor >= 0) ::close(descriptor);
    if (!flushed) return Error{ErrorCode::kEnvironment, "could not be flushed", path.string()};
    return {};
}

// The tensors of a file that has the recorded hash and exactly the names and shapes of `expected`.
Result<std::map<std::string, at::Tensor>> read_fitting(const std::filesystem::path& path,
                                                       const std::string& hash,
                                                       const std::vector<NamedTensor>& expected) {
    const Result<std::string> bytes = contents(path);
    if (!bytes) return bytes.error();
    if (short_hash(*bytes) != hash) {
        return Error{ErrorCode::kBadInput, "is not what was written: its hash differs",
                     path.string()};
    }
    auto read = read_safetensors(path);
    if (!read) return read.error();
    std::map<std::string, at::Tensor> tensors;
    for (NamedTensor& tensor : *read) tensors.emplace(tensor.name, tensor.value);
    for (const NamedTensor& wanted : expected) {
        const auto found = tensors.find(wanted.name);
        if (found == tensors.end() || found->second.sizes() != wanted.value.sizes()) {
            return Error{ErrorCode::kBadInput, "is missing or has another shape",
                         fmt::format("{}: {}", path.string(), wanted.name)};
        }
    }
    if (tensors.size() != expected.size()) {
        return Error{ErrorCode::kBadInput, "holds tensors that the model does not have",
                     path.string()};
    }
    return tensors;
}

void copy_into(const std::vector<NamedTensor>& places,
               const std::map<std::string, at::Tensor>& values) {
    const c10::AutoGradMode no_gradients(false);
    for (const NamedTensor& place : places) place.value.copy_(values.at(place.name));
}

// The published checkpoints of a run, newest first.
std::vector<std::filesystem::path> published(const std::filesystem::path& run) {
    std::vector<std::filesystem::path> folders;
    std::error_code failure;
    for (const auto& entry : std::filesystem::directory_iterator(run, failure)) {
        const std::string name = entry.path().filename().string();
        if (name.starts_with(kStepPrefix) && !name.ends_with(kPartial)) {
            folders.push_back(entry.path());
        }
    }
    std::sort(folders.rbegin(), folders.rend());
    return folders;
}

}  // namespace

Result<void> save_checkpoint(const Trainer& trainer, const std::filesystem::path& folder,
                             const std::function<void()>& between) {
    namespace fs = std::filesystem;
    const fs::path partial = folder.string() + std::string(kPartial);
    std::error_code failure;
    fs::remove_all(partial, failure);
    if (!fs::create_directories(partial, failure)) {
        return Error{ErrorCode::kEnvironment, "cannot be made: " + failure.message(),
                     partial.string()};
    }
    Json description = description_of(trainer);
    std::vector<NamedTensor> weights = model_tensors(trainer);
    std::vector<NamedTensor> state = optimizer_tensors(trainer);
    planted::at_checkpoint_save(weights, trainer.model().device());
    planted::at_checkpoint_save(state, trainer.model().device());
    for (const auto& [name, tensors] :
         {std::pair{kModelFile, weights}, std::pair{kOptimizerFile, state}}) {
        const Result<void> written = write_safetensors(partial / name, tensors);
        if (!written) return written.error();
        const Result<std::string> bytes = contents(partial / name);
        if (!bytes) return bytes.error();
        description["hashes"][name] = short_hash(*bytes);
        if (between) between();
    }
    const Result<void> written = write_text(partial / kTrainerFile, description.dump(2) + "\n");
    if (!written) return written.error();
    fs::remove_all(folder, failure);
    fs::rename(partial, folder, failure);
    if (failure || !flush_folder(fs::absolute(folder).parent_path())) {
        return Error{ErrorCode::kEnvironment, "cannot be published: " + failure.message(),
                     folder.string()};
    }
    return {};
}

Result<void> load_checkpoint(Trainer& trainer, const std::filesystem::path& folder) {
    const std::filesystem::path path = folder / kTrainerFile;
    const Result<std::string> text = contents(path);
    if (!text) return text.error();
    auto description = parse_json(*text, path.string());
    if (!description) return description.error();
    const Json own = description_of(trainer);
    for (const char* key : {"schema", "ranks", "seed", "recipe", "architecture"}) {
        if (!description->is_object() || description->value(key, Json()) != own[key]) {
            return Error{ErrorCode::kBadInput, "is not that of this run",
                         fmt::format("{}: {}", path.string(), key)};
        }
    }
    const Result<long long> position = integer_at(*description, "position", path.string());
    if (!position) return position.error();
    const Json hashes = description->value("hashes", Json::object());
    const Result<std::string> model_hash = text_at(hashes, kModelFile, path.string());
    if (!model_hash) return model_hash.error();
    const Result<std::string> optimizer_hash = text_at(hashes, kOptimizerFile, path.string());
    if (!optimizer_hash) return optimizer_hash.error();
    const std::vector<NamedTensor> model = model_tensors(trainer);
    const std::vector<NamedTensor> optimizer = optimizer_tensors(trainer);
    const auto weights = read_fitting(folder / kModelFile, *model_hash, model);
    if (!weights) return weights.error();
    const auto moments = read_fitting(folder / kOptimizerFile, *optimizer_hash, optimizer);
    if (!moments) return moments.error();
    copy_into(model, *weights);
    copy_into(optimizer, *moments);
    planted::at_checkpoint_load(model, trainer.model().device());
    planted::at_checkpoint_load(optimizer, trainer.model().device());
    trainer.resume_at(*position);
    return {};
}

std::filesystem::path checkpoint_folder(const std::filesystem::path& run, std::int64_t position) {
    // So many digits that names sort as numbers.
    return run / fmt::format("{}{:012}", kStepPrefix, position);
}

void retain_checkpoints(const std::filesystem::path& run, std::size_t keep) {
    namespace fs = std::filesystem;
    std::error_code failure;
    const auto folders = published(run);
    for (std::size_t i = keep; i < folders.size(); ++i) fs::remove_all(folders[i], failure);
    std::vector<fs::path> torn;
    for (const auto& entry : fs::directory_iterator(run, failure)) {
        if (entry.path().string().ends_with(kPartial)) torn.push_back(entry.path());
    }
    for (const fs::path& path : torn) fs::remove_all(path, failure);
}

Loaded load_newest(Trainer& trainer, const std::filesystem::path& run) {
    Loaded loaded;
    for (const auto& folder : published(run)) {
        const Result<void> read = load_checkpoint(trainer, folder);
        if (read) {
            loaded.found = true;
            return loaded;
        }
        loaded.skipped.push_back(read.error().text());
    }
    return loaded;
}

}  // namespace ascertain::training
