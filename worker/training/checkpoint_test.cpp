#include "worker/training/checkpoint.hpp"

#include <ATen/ops/arange.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

#include "worker/training/safetensors.hpp"
#include "worker/training/test_architectures.hpp"

namespace ascertain::training {
namespace {

namespace fs = std::filesystem;

class Checkpoint : public ::testing::Test {
protected:
    void SetUp() override {
        const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
        folder_ = fs::temp_directory_path() /
                  (std::string("ascertain-") + test->name() + "-" + std::to_string(::getpid()));
        fs::create_directories(folder_);
    }
    void TearDown() override { fs::remove_all(folder_); }

    static Recipe recipe() {
        Recipe made;
        made.batch_sequences = 4;
        made.sequence_length = 32;
        return made;
    }

    fs::path folder_;
};

std::string bytes_of(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

void write(const fs::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

// A file of the format with this header and so many bytes of data.
std::string file_with(const std::string& header, std::size_t data) {
    std::string bytes(8, '\0');
    for (std::size_t i = 0; i < 8; ++i)
        bytes[i] = static_cast<char>(header.size() >> (8 * i) & 255);
    return bytes + header + std::string(data, 'x');
}

TEST_F(Checkpoint, AResumedRunMakesTheBitsOfOneThatNeverStopped) {
    for (const auto& architecture : {dense_architecture(), deepseek_architecture()}) {
        Trainer whole(architecture, recipe(), {.seed = 3});
        for (int i = 0; i < 3; ++i) whole.step({});
        const Result<void> saved = save_checkpoint(whole, folder_ / "three");
        ASSERT_TRUE(saved.ok()) << saved.error().text();
        Trainer resumed(architecture, recipe(), {.seed = 3});
        const Result<void> loaded = load_checkpoint(resumed, folder_ / "three");
        ASSERT_TRUE(loaded.ok()) << loaded.error().text();
        EXPECT_EQ(resumed.position(), 3);
        for (int i = 0; i < 3; ++i) {
            const StepReport expected = whole.step({});
            const StepReport got = resumed.step({});
            EXPECT_EQ(got.loss, expected.loss);
            EXPECT_EQ(got.grad_norm, expected.grad_norm);
        }
        for (std::size_t i = 0; i < whole.model().parameters().all().size(); ++i) {
            const Parameter& parameter = whole.model().parameters().all()[i];
            EXPECT_TRUE(parameter.value.equal(resumed.model().parameters().all()[i].value))
                << parameter.name;
        }
        EXPECT_FALSE(fs::exists(folder_ / "three.partial"));
    }
}

TEST_F(Checkpoint, RefusesDamageAndOtherRunsAndChangesNothing) {
    Trainer trainer(dense_architecture(), recipe(), {.seed = 3});
    trainer.step({});
    ASSERT_TRUE(save_checkpoint(trainer, folder_ / "one").ok());
    const std::string model = bytes_of(folder_ / "one/model.safetensors");
    Trainer other(dense_architecture(), recipe(), {.seed = 3});
    const double before = other.model().parameters().all()[0].value.sum().item<double>();

    std::string damaged = model;
    damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 1);
    for (const std::string& bad : {damaged, model.substr(0, model.size() / 2), std::string()}) {
        write(folder_ / "one/model.safetensors", bad);
        EXPECT_FALSE(load_checkpoint(other, folder_ / "one").ok());
    }
    fs::remove(folder_ / "one/model.safetensors");
    EXPECT_FALSE(load_checkpoint(other, folder_ / "one").ok());
    write(folder_ / "one/model.safetensors", model);
    EXPECT_EQ(other.model().parameters().all()[0].value.sum().item<double>(), before);
    EXPECT_EQ(other.position(), 0);

    Trainer otherwise(deepseek_architecture(), recipe(), {.seed = 3});
    EXPECT_FALSE(load_checkpoint(otherwise, folder_ / "one").ok());
    Trainer seeded(dense_architecture(), recipe(), {.seed = 4});
    EXPECT_FALSE(load_checkpoint(seeded, folder_ / "one").ok());
    EXPECT_TRUE(load_checkpoint(other, folder_ / "one").ok());
    EXPECT_FALSE(load_checkpoint(other, folder_ / "two").ok());
}

TEST_F(Checkpoint, TheNewestGoodOneIsLoadedAndTheOthersAreNamed) {
    Trainer trainer(dense_architecture(), recipe(), {.seed = 3});
    for (int step = 1; step <= 4; ++step) {
        trainer.step({});
        ASSERT_TRUE(save_checkpoint(trainer, checkpoint_folder(folder_, step)).ok());
    }
    fs::create_directories(checkpoint_folder(folder_, 5).string() + ".partial");
    retain_checkpoints(folder_, 3);
    EXPECT_FALSE(fs::exists(checkpoint_folder(folder_, 1)));
    EXPECT_FALSE(fs::exists(checkpoint_folder(folder_, 5).string() + ".partial"));

    const fs::path newest = checkpoint_folder(folder_, 4);
    write(newest / "optimizer.safetensors", bytes_of(newest / "optimizer.safetensors").substr(1));
    // One of another number of ranks.
    const fs::path second = checkpoint_folder(folder_, 3);
    std::string text = bytes_of(second / "trainer.json");
    text.replace(text.find("\"ranks\": 1"), 10, "\"ranks\": 2");
    write(second / "trainer.json", text);

    Trainer resumed(dense_architecture(), recipe(), {.seed = 3});
    const Loaded loaded = load_newest(resumed, folder_);
    EXPECT_TRUE(loaded.found);
    EXPECT_EQ(resumed.position(), 2);
    ASSERT_EQ(loaded.skipped.size(), 2U);
    EXPECT_NE(loaded.skipped[0].find("optimizer.safetensors"), std::string::npos);
    EXPECT_NE(loaded.skipped[1].find("ranks"), std::string::npos);
    EXPECT_FALSE(load_newest(resumed, folder_ / "nowhere").found);
}

TEST_F(Checkpoint, ADeathBeforePublishingLeavesTheOldOne) {
    Trainer trainer(dense_architecture(), recipe(), {.seed = 3});
    trainer.step({});
    ASSERT_TRUE(save_checkpoint(trainer, checkpoint_folder(folder_, 1)).ok());
    trainer.step({});
    const auto dies = [] { throw std::runtime_error("killed"); };
    EXPECT_THROW(static_cast<void>(save_checkpoint(trainer, checkpoint_folder(folder_, 2), dies)),
                 std::runtime_error);
    Trainer resumed(dense_architecture(), recipe(), {.seed = 3});
    EXPECT_TRUE(load_newest(resumed, folder_).found);
    EXPECT_EQ(resumed.position(), 1);
}

TEST_F(Checkpoint, SafetensorsComeBackAsTheyWere) {
    const std::vector<NamedTensor> tensors{{"a", at::arange(6, at::kFloat).view({2, 3})},
                                           {"b", at::arange(4, at::kLong)},
                                           {"c", at::arange(5, at::kFloat).to(at::kBFloat16)}};
    ASSERT_TRUE(write_safetensors(folder_ / "x.safetensors", tensors).ok());
    const auto read = read_safetensors(folder_ / "x.safetensors");
    ASSERT_TRUE(read.ok()) << read.error().text();
    ASSERT_EQ(read->size(), 3U);
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ((*read)[i].name, tensors[i].name);
        EXPECT_EQ((*read)[i].value.scalar_type(), tensors[i].value.scalar_type());
        EXPECT_TRUE((*read)[i].value.equal(tensors[i].value));
    }
}

TEST_F(Checkpoint, HostileSafetensorsAreRefused) {
    const auto entry = [](const char* dtype, const char* shape, const char* offsets) {
        return std::string(R"({"a":{"dtype":")") + dtype + R"(","shape":)" + shape +
               R"(,"data_offsets":)" + offsets + "}}";
    };
    const fs::path path = folder_ / "hostile.safetensors";
    write(path, file_with(entry("F32", "[2]", "[0,8]"), 8));
    EXPECT_TRUE(read_safetensors(path).ok());
    const std::string hostile[] = {
        "",
        "short",
        std::string(8, '\xff'),                      // a header of 2^64 bytes
        file_with("[]", 0),                          // no object
        file_with("{", 0),                           // no JSON
        file_with(entry("F32", "[2]", "[0,8]"), 7),  // truncated
        file_with(entry("F32", "[2]", "[0,8]"), 9),  // a byte of nobody
        file_with(entry("F32", "[3]", "[0,8]"), 8),  // shape and bytes differ
        file_with(entry("F32", "[-2]", "[0,8]"), 8),
        file_with(entry("F32", "[2]", "[8,0]"), 8),
        file_with(entry("F32", "[2]", "[4,12]"), 12),  // a hole
        file_with(entry("F99", "[2]", "[0,8]"), 8),
        file_with(entry("F32", "[4611686018427387904,4]", "[0,0]"), 0),  // 2^66 bytes wrap to 0
        file_with(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                  R"("b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                  4),  // both claim it
        file_with(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                  R"("a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                  8)};
    for (const std::string& bytes : hostile) {
        write(path, bytes);
        EXPECT_FALSE(read_safetensors(path).ok()) << bytes;
    }
}

}  // namespace
}  // namespace ascertain::training
