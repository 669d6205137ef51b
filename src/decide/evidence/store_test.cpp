#include "decide/evidence/store.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <fstream>
#include <sstream>

#include "base/random.hpp"
#include "decide/evidence/blobs.hpp"

namespace ascertain::evidence {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

StoreOptions options(std::uint64_t segment_bytes_max) {
    return {.now_utc = [] { return std::string("2026-11-25T00:00:00.000Z"); },
            .segment_bytes_max = segment_bytes_max};
}
StoreOptions options() {
    return options(8u << 20);
}

// A directory of its own for each test, deleted afterwards.
class StoreTest : public testing::Test {
protected:
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "ascertain-store-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        root_ = pattern;
        run_ = root_ / "run";
    }
    void TearDown() override { fs::remove_all(root_); }

    // A finished run of `count` records over several segments of about 600 bytes.
    void write_run(int count) {
        auto store = Store::create(run_, options(600));
        ASSERT_TRUE(store.ok()) << store.error().text();
        for (int i = 0; i < count; ++i) ASSERT_TRUE(store->append("note", Json{{"i", i}}).ok());
    }
    static std::string slurp(const fs::path& path) {
        std::ifstream file(path, std::ios::binary);
        std::ostringstream text;
        text << file.rdbuf();
        return text.str();
    }
    static void spill(const fs::path& path, std::string_view bytes) {
        std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    }
    // Runs `body` in a child; its answer is the child's exit code.
    template <typename Body>
    static int in_child(Body body) {
        const pid_t child = ::fork();
        if (child == 0) ::_exit(body());
        int status = 0;
        EXPECT_EQ(::waitpid(child, &status, 0), child);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }

    fs::path root_;
    fs::path run_;
};

TEST_F(StoreTest, WhatIsAppendedIsReadBackInOrderAndChained) {
    write_run(10);
    const auto chain = read_chain(run_);
    ASSERT_TRUE(chain.ok()) << chain.error().text();
    ASSERT_EQ(chain->records.size(), 10u);
    EXPECT_GT(chain->segment_count, 2u);
    for (std::size_t i = 0; i < 10; ++i) {
        EXPECT_EQ(chain->records[i].sequence, i + 1);
        EXPECT_EQ(chain->records[i].body["i"], i);
        EXPECT_EQ(chain->records[i].previous,
                  i == 0 ? std::string(kChainStart) : chain->records[i - 1].hash);
        const auto alone = read_record(run_, chain->positions[i]);
        ASSERT_TRUE(alone.ok()) << alone.error().text();
        EXPECT_EQ(alone->hash, chain->records[i].hash);
    }
    EXPECT_FALSE(chain->torn.has_value());
}

TEST_F(StoreTest, OpenGoesOnWhereTheLastSessionEnded) {
    write_run(3);
    auto store = Store::open(run_, options());
    ASSERT_TRUE(store.ok()) << store.error().text();
    EXPECT_EQ(*store->append("note", Json::object()), "r000004");
    EXPECT_EQ(store->read_all()->size(), 4u);
    EXPECT_TRUE(store->repaired().empty());
}

TEST_F(StoreTest, CutAnywhereInTheLastRecordLosesThatRecordAndNothingElse) {
    write_run(4);
    const auto whole = read_chain(run_);
    ASSERT_TRUE(whole.ok());
    const auto last = whole->positions.back();
    const auto path = segment_path(run_, last.segment);
    const std::string bytes = slurp(path);
    for (std::uint64_t keep = 0; keep < last.size_bytes; ++keep) {
        spill(path, bytes.substr(0, last.offset_bytes + keep));
        const auto read = read_chain(run_);
        ASSERT_TRUE(read.ok()) << keep << ": " << read.error().text();
        ASSERT_EQ(read->records.size(), 3u) << keep;
        if (keep % 50 > 0) continue;  // repairing flushes to disk, which is slow
        auto store = Store::open(run_, options(600));
        ASSERT_TRUE(store.ok()) << store.error().text();
        EXPECT_EQ(store->repaired().empty(), keep == 0) << keep;
        ASSERT_TRUE(store->append("note", Json{{"i", 99}}).ok());
        EXPECT_EQ(store->read_all()->back().body["i"], 99);
        fs::remove(segment_path(run_, last.segment + 1));
    }
    EXPECT_FALSE(fs::is_empty(run_ / "torn")) << "torn bytes are kept for whoever wants to look";
}

TEST_F(StoreTest, ZerosLeftByAPowerCutAreATornTail) {
    write_run(2);
    const auto last = read_chain(run_)->segment_count;
    const auto path = segment_path(run_, last);
    spill(path, slurp(path) + std::string(4096, '\0'));
    const auto store = Store::open(run_, options());
    ASSERT_TRUE(store.ok()) << store.error().text();
    EXPECT_EQ(store->record_count(), 2u);
    EXPECT_THAT(store->repaired(), HasSubstr("4096 bytes"));
}

TEST_F(StoreTest, AnyChangedByteIsFound) {
    write_run(3);
    for (std::uint64_t segment = 1; segment <= read_chain(run_)->segment_count; ++segment) {
        const auto path = segment_path(run_, segment);
        const std::string bytes = slurp(path);
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            std::string changed = bytes;
            changed[i] = static_cast<char>(changed[i] ^ 1);
            spill(path, changed);
            const auto read = read_chain(run_);
            // Only the very last newline looks like a write cut short; even then a record less.
            EXPECT_TRUE(!read.ok() || read->records.size() == 2u) << segment << " byte " << i;
            if (!read.ok()) {
                EXPECT_EQ(read.error().code, ErrorCode::kEvidence);
                EXPECT_THAT(read.error().where, HasSubstr("record "));
            }
        }
        spill(path, bytes);
    }
}

TEST_F(StoreTest, RemovedAndSwappedPiecesAreNamed) {
    write_run(10);
    const auto first = segment_path(run_, 1);
    const auto second = segment_path(run_, 2);
    const std::string one = slurp(first);
    const std::string two = slurp(second);
    spill(first, two);
    spill(second, one);
    EXPECT_THAT(read_chain(run_).error().text(),
                HasSubstr("000001.jsonl:1: record 1: is numbered"));
    spill(first, one.substr(one.find('\n') + 1));
    EXPECT_THAT(read_chain(run_).error().message, HasSubstr("missing or out of order"));
    fs::remove(first);
    EXPECT_THAT(read_chain(run_).error().text(), HasSubstr("000001.jsonl is missing"));
}

TEST_F(StoreTest, ARecordRehashedAfterAChangeBreaksTheChainAtTheNext) {
    write_run(2);
    const auto chain = read_chain(run_);
    Record forged = chain->records[0];
    forged.body["i"] = 7;
    const auto line = to_line(forged);
    const auto path = segment_path(run_, 1);
    spill(path, *line + slurp(path).substr(chain->positions[0].size_bytes));
    EXPECT_THAT(read_chain(run_).error().text(), HasSubstr("record 2: does not follow"));
}

TEST_F(StoreTest, TwoRunsInOneDirectoryAreRefusedAndTheOwnerIsNamed) {
    auto store = Store::create(run_, options());
    ASSERT_TRUE(store.ok());
    const auto second = Store::open(run_, options());
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().code, ErrorCode::kEvidence);
    EXPECT_THAT(second.error().message,
                HasSubstr("in use by process " + std::to_string(::getpid())));
    EXPECT_EQ(in_child([&] { return Store::open(run_, options()).ok() ? 1 : 0; }), 0);
    EXPECT_TRUE(store->append("note", Json::object()).ok());
}

TEST_F(StoreTest, ALockIsGivenBackAtTheEnd) {
    { ASSERT_TRUE(Store::create(run_, options()).ok()); }
    EXPECT_FALSE(fs::exists(run_ / "lock"));
    EXPECT_TRUE(Store::open(run_, options()).ok());
}

TEST_F(StoreTest, ALockOfADeadProcessIsTakenOver) {
    // The child dies without giving the lock back.
    ASSERT_EQ(in_child([&] {
                  auto store = Store::create(run_, options());
                  ::kill(::getpid(), SIGKILL);
                  return store.ok() ? 0 : 1;
              }),
              128 + SIGKILL);
    ASSERT_TRUE(fs::exists(run_ / "lock"));
    EXPECT_TRUE(Store::open(run_, options()).ok());
}

TEST_F(StoreTest, OneOfManyWinsTheLockOfADeadRun) {
    write_run(1);
    constexpr int kRivals = 8;
    for (int round = 0; round < 5; ++round) {
        std::array<int, 2> start{};
        std::array<int, 2> answer{};
        ASSERT_EQ(::pipe(start.data()), 0);
        ASSERT_EQ(::pipe(answer.data()), 0);
        std::array<pid_t, kRivals> rivals{};
        for (auto& rival : rivals) {
            rival = ::fork();
            if (rival != 0) continue;
            ::close(start[1]);
            char byte = 0;
            static_cast<void>(::read(start[0], &byte, 1));  // until the parent lets all go at once
            const auto store = Store::open(run_, options());
            static_cast<void>(::write(answer[1], store.ok() ? "w" : "l", 1));
            ::pause();  // whoever won holds it until killed, so the next round finds a dead owner
        }
        ::close(start[0]);
        ::close(start[1]);
        int winners = 0;
        for (int i = 0; i < kRivals; ++i) {
            char byte = 0;
            ASSERT_EQ(::read(answer[0], &byte, 1), 1);
            winners += byte == 'w' ? 1 : 0;
        }
        for (const auto rival : rivals) {
            ::kill(rival, SIGKILL);
            ::waitpid(rival, nullptr, 0);
        }
        ::close(answer[0]);
        ::close(answer[1]);
        EXPECT_EQ(winners, 1) << "round " << round;
    }
}

TEST_F(StoreTest, ItMayBeReadWhileItIsWritten) {
    { ASSERT_TRUE(Store::create(run_, options(20'000)).ok()); }
    const pid_t writer = ::fork();
    if (writer == 0) {
        auto store = Store::open(run_, options(20'000));
        while (store.ok() && store->append("note", Json{{"x", std::string(9'000, 'x')}}).ok()) {
        }
        ::_exit(1);
    }
    std::size_t seen = 0;
    while (seen < 60) {
        const auto chain = read_chain(run_);
        ASSERT_TRUE(chain.ok()) << chain.error().text();
        ASSERT_GE(chain->records.size(), seen);
        seen = chain->records.size();
    }
    ::kill(writer, SIGKILL);
    ::waitpid(writer, nullptr, 0);
}

TEST_F(StoreTest, ALockOfAnotherMachineIsNeverTakenOver) {
    write_run(1);
    spill(run_ / "lock",
          R"({"host":"elsewhere","boot_id":"x","pid":1,"start_ticks":1,"since_utc":"2026"})");
    const auto store = Store::open(run_, options());
    ASSERT_FALSE(store.ok());
    EXPECT_THAT(store.error().message, HasSubstr("process 1 on elsewhere since 2026"));
    EXPECT_THAT(store.error().message, HasSubstr("delete " + (run_ / "lock").string()));
}

TEST_F(StoreTest, ADirectoryThatHoldsARunIsNotStartedAfresh) {
    write_run(1);
    EXPECT_THAT(Store::create(run_, options()).error().message, HasSubstr("already holds a run"));
}

TEST_F(StoreTest, PathsThatCannotHoldARunAreEachNamed) {
    const fs::path file = root_ / "file";
    spill(file, "x");
    EXPECT_THAT(Store::create(file, options()).error().text(), HasSubstr("choose another --out"));
    EXPECT_THAT(Store::create(file / "below", options()).error().text(), HasSubstr("is a file"));
    const auto missing = Store::open(root_ / "none", options());
    EXPECT_EQ(missing.error().code, ErrorCode::kEvidence);
    EXPECT_THAT(missing.error().text(), HasSubstr("check the path"));
    const auto empty = read_chain(root_);
    EXPECT_THAT(empty.error().text(), HasSubstr("holds no evidence"));
    fs::create_symlink(root_ / "b", root_ / "a");
    fs::create_symlink(root_ / "a", root_ / "b");
    EXPECT_THAT(Store::create(root_ / "a" / "run", options()).error().text(), HasSubstr("circle"));
}

TEST_F(StoreTest, AReadOnlyDirectoryIsNamed) {
    const fs::path closed = root_ / "closed";
    fs::create_directory(closed);
    // As an ordinary user, since root may write everywhere.
    fs::permissions(root_, fs::perms::all);
    fs::permissions(closed, fs::perms::owner_read | fs::perms::others_read |
                                fs::perms::others_exec | fs::perms::owner_exec);
    EXPECT_EQ(in_child([&] {
                  if (::geteuid() == 0 && ::seteuid(65534) != 0) return 2;
                  const auto store = Store::create(closed, options());
                  if (store.ok() || store.error().code != ErrorCode::kEvidence) return 1;
                  return store.error().text().find("accessible") != std::string::npos ? 0 : 3;
              }),
              0);
}

TEST_F(StoreTest, AFullDiskLosesOnlyTheRecordThatDidNotFitAndLaterOnesMayFollow) {
    // A file size limit stands for the full disk: write(2) puts down a part, then fails.
    EXPECT_EQ(in_child([&] {
                  ::signal(SIGXFSZ, SIG_IGN);
                  auto store = Store::create(run_, options());
                  if (!store || !store->append("note", Json{{"i", 0}}).ok()) return 1;
                  rlimit limit{};
                  ::getrlimit(RLIMIT_FSIZE, &limit);
                  limit.rlim_cur = 2000;
                  ::setrlimit(RLIMIT_FSIZE, &limit);
                  const auto refused = store->append("note", Json{{"x", std::string(4000, 'x')}});
                  if (refused.ok() || refused.error().code != ErrorCode::kEvidence) return 2;
                  if (refused.error().message.find("--resume") == std::string::npos) return 3;
                  if (store->read_all()->size() != 1) return 4;
                  std::string noise;  // does not compress
                  Random random(1, 1);
                  while (noise.size() < 4000) noise += static_cast<char>(random.below(256));
                  if (store->put_blob(noise).ok() || !list_blobs(run_)->empty()) return 6;
                  return store->append("note", Json{{"i", 1}}).ok() ? 0 : 5;
              }),
              0);
    const auto chain = read_chain(run_);
    ASSERT_TRUE(chain.ok()) << chain.error().text();
    EXPECT_EQ(chain->records.size(), 2u);
    EXPECT_FALSE(chain->torn.has_value());
}

TEST_F(StoreTest, KilledAtRandomMomentsItLosesAtMostTheRecordInProgress) {
    Random random(20261125, 1);
    { ASSERT_TRUE(Store::create(run_, options(20'000)).ok()); }
    std::uint64_t acknowledged = 0;
    for (int round = 0; round < 50; ++round) {
        std::array<int, 2> pipe{};
        ASSERT_EQ(::pipe(pipe.data()), 0);
        const std::size_t padding = random.below(40'000);
        const pid_t child = ::fork();
        if (child == 0) {
            auto store = Store::open(run_, options(20'000));
            if (!store) ::_exit(1);
            for (;;) {
                const auto id = store->append("note", Json{{"x", std::string(padding, 'x')}});
                if (!id || ::write(pipe[1], "+", 1) != 1) ::_exit(1);
            }
        }
        ::close(pipe[1]);
        // Let it finish some records, then kill it wherever it then is.
        const std::uint64_t wanted = 1 + random.below(6);
        std::uint64_t seen = 0;
        char byte = 0;
        while (seen < wanted && ::read(pipe[0], &byte, 1) == 1) ++seen;
        ::kill(child, SIGKILL);
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself in round " << round;
        while (::read(pipe[0], &byte, 1) == 1) ++seen;
        ::close(pipe[0]);
        acknowledged += seen;
        const auto chain = read_chain(run_);
        ASSERT_TRUE(chain.ok()) << "round " << round << ": " << chain.error().text();
        ASSERT_GE(chain->records.size(), acknowledged) << "an acknowledged record is gone";
        // One may be on disk whose acknowledgement the kill prevented.
        ASSERT_LE(chain->records.size(), acknowledged + 1);
        acknowledged = chain->records.size();
    }
}

TEST_F(StoreTest, BlobsComeBackAndDamageIsNamed) {
    auto store = Store::create(run_, options());
    std::string content = "stderr of a worker\n";
    content.resize(100'000, 'x');
    const auto name = store->put_blob(content);
    ASSERT_TRUE(name.ok()) << name.error().text();
    EXPECT_EQ(*name, sha256(content));
    EXPECT_EQ(*store->put_blob(content), *name);
    EXPECT_EQ(*store->get_blob(*name), content);
    EXPECT_EQ(*store->get_blob(*store->put_blob("")), "");
    const auto path = blob_path(run_, *name);
    const std::string packed = slurp(path);
    EXPECT_LT(packed.size(), content.size() / 100);
    for (std::size_t i = 0; i < packed.size(); ++i) {
        std::string changed = packed;
        changed[i] = static_cast<char>(changed[i] ^ 4);
        spill(path, changed);
        const auto read = store->get_blob(*name);
        EXPECT_TRUE(!read.ok() || *read == content) << "byte " << i;
    }
    spill(path, packed.substr(0, packed.size() / 2));
    EXPECT_THAT(store->get_blob(*name).error().message, HasSubstr("damaged"));
    EXPECT_FALSE(store->get_blob("../../etc/passwd").ok());
    EXPECT_FALSE(store->get_blob(std::string(64, 'a')).ok());
}

TEST_F(StoreTest, ABlobThatUnfoldsBeyondTheLimitIsRefusedBeforeItIs) {
    const std::string name(64, 'b');
    fs::create_directories(blob_path(run_, name).parent_path());
    // A zstd frame header with an 8-byte content size of 2^40 (RFC 8878, section 3.1.1.1).
    spill(blob_path(run_, name), std::string("\x28\xB5\x2F\xFD\xE0\0\0\0\0\0\1\0\0\1\0\0", 16));
    EXPECT_THAT(get_blob(run_, name).error().message, HasSubstr("claims more"));
}

TEST_F(StoreTest, ARecordThatCouldNotBeReadBackIsRefused) {
    auto store = Store::create(run_, options());
    Json deep = Json::object();
    for (int i = 0; i < 80; ++i) deep = Json{{"a", deep}};
    EXPECT_FALSE(store->append("note", deep).ok());
    EXPECT_FALSE(store->append("note", Json::array()).ok());
    EXPECT_EQ(store->record_count(), 0u);
    // Text that is no UTF-8 is mended instead.
    EXPECT_TRUE(store->append("note", Json{{"text", "\xff"}}).ok());
    EXPECT_EQ(store->read_all()->size(), 1u);
}

}  // namespace
}  // namespace ascertain::evidence
