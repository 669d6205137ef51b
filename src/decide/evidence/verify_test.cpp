#include "decide/evidence/verify.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "decide/evidence/blobs.hpp"
#include "decide/evidence/index.hpp"
#include "decide/evidence/records.hpp"
#include "decide/evidence/store.hpp"

namespace ascertain::evidence {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

Attempt attempt(std::string check, double value) {
    Attempt made;
    made.check = std::move(check);
    made.device = "npu:0";
    made.outcome = Outcome::kCompleted;
    made.observation = {{"error_ratio", value, "ratio", 1, {}, {}, ""}};
    return made;
}

std::string slurp(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

class VerifyTest : public testing::Test {
protected:
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "ascertain-verify-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        root_ = pattern;
        run_ = root_ / "run";
        auto store =
            Store::create(run_, {.now_utc = [] { return std::string("2026-11-25T00:00:00Z"); }});
        ASSERT_TRUE(store.ok());
        blob_ = *store->put_blob("stderr");
        auto with_blob = attempt("ops.numerics.mm", 1.0);
        with_blob.blobs = {blob_};
        ASSERT_TRUE(store->append("attempt", to_json(with_blob)).ok());
        ASSERT_TRUE(store->append("attempt", to_json(attempt("ops.numerics.add", 2.0))).ok());
        ASSERT_TRUE(store->append("finished", to_json(SessionEnd{true, "done", 1.0})).ok());
    }
    void TearDown() override { fs::remove_all(root_); }

    fs::path root_;
    fs::path run_;
    std::string blob_;
};

TEST_F(VerifyTest, ASoundRunIsCountedAndItsHeadNamed) {
    const auto found = verify(run_);
    ASSERT_TRUE(found.ok()) << found.error().text();
    EXPECT_EQ(found->records, 3u);
    EXPECT_EQ(found->blobs, 1u);
    EXPECT_EQ(found->head, read_all(run_)->back().hash);
    EXPECT_TRUE(found->complete);
}

TEST_F(VerifyTest, AMissingOrDamagedBlobIsNamedWithTheRecordThatNeedsIt) {
    const auto path = blob_path(run_, blob_);
    const auto bytes = slurp(path);
    std::ofstream(path, std::ios::binary) << bytes.substr(0, bytes.size() - 1);
    EXPECT_THAT(verify(run_).error().text(), HasSubstr("record 1 names a blob that does not fit"));
    fs::remove(path);
    EXPECT_THAT(verify(run_).error().text(), HasSubstr("record 1 names a blob"));
}

TEST_F(VerifyTest, TheTarHoldsTheRunAndUnpacksToOneThatVerifies) {
    const auto tar = root_ / "run.tar";
    const auto done = export_tar(run_, tar);
    ASSERT_TRUE(done.ok()) << done.error().text();
    const auto unpacked = root_ / "unpacked";
    fs::create_directory(unpacked);
    const auto command = "tar -xf '" + tar.string() + "' -C '" + unpacked.string() + "'";
    ASSERT_EQ(std::system(command.c_str()), 0);
    EXPECT_EQ(verify(unpacked)->head, verify(run_)->head);
    EXPECT_EQ(get_blob(unpacked, blob_).value(), "stderr");
    const auto again = root_ / "again.tar";
    ASSERT_TRUE(export_tar(run_, again).ok());
    EXPECT_EQ(slurp(tar), slurp(again));
    EXPECT_FALSE(export_tar(run_, tar).ok()) << "an existing file is not written over";
}

TEST_F(VerifyTest, ExportedJsonHoldsEveryRecord) {
    const auto document = export_json(run_);
    ASSERT_TRUE(document.ok());
    EXPECT_EQ((*document)["schema"], "ascertain.evidence/1");
    EXPECT_EQ((*document)["records"].size(), 3u);
    EXPECT_EQ((*document)["records"][2]["hash"], (*document)["head"]);
}

TEST_F(VerifyTest, DiffNamesWhatChangedBetweenTwoRuns) {
    const auto left = *read_all(run_);
    auto right = left;
    right[0].body = to_json(attempt("ops.numerics.mm", 1.5));
    right[1].body = to_json(attempt("ops.numerics.sub", 2.0));
    const auto differences = diff(left, right);
    ASSERT_TRUE(differences.ok());
    ASSERT_EQ(differences->size(), 3u);
    EXPECT_EQ((*differences)[0].field, "error_ratio");
    EXPECT_EQ((*differences)[0].left, 1.0);
    EXPECT_EQ((*differences)[0].right, 1.5);
    EXPECT_EQ((*differences)[1].check, "ops.numerics.add");
    EXPECT_TRUE((*differences)[1].right.is_null());
    EXPECT_EQ((*differences)[2].check, "ops.numerics.sub");
    EXPECT_TRUE((*differences)[2].left.is_null());
    EXPECT_TRUE(diff(left, left)->empty());
}

TEST_F(VerifyTest, TheIndexFindsRecordsAndFollowsTheSegments) {
    const auto count = [&](const IndexQuery& query) {
        const auto index = Index::open(run_);
        EXPECT_TRUE(index.ok());
        return index->find(query)->size();
    };
    EXPECT_EQ(count({}), 3u);
    EXPECT_EQ(count({.kind = "attempt", .check = "", .device = "", .outcome = ""}), 2u);
    EXPECT_EQ(count({.kind = "", .check = "ops.*.mm", .device = "npu:0", .outcome = "completed"}),
              1u);
    ASSERT_TRUE(fs::exists(run_ / "index.sqlite"));
    {
        auto store = Store::open(run_, {.now_utc = [] { return std::string("2026-11-26"); }});
        ASSERT_TRUE(store->append("note", Json::object()).ok());
    }
    EXPECT_EQ(count({}), 4u) << "an index that is behind is made again";
    std::ofstream(run_ / "index.sqlite") << "not a database";
    EXPECT_EQ(count({}), 4u) << "so is a damaged one";
    const auto index = Index::open(run_);
    const auto first =
        index->find({.kind = "", .check = "ops.numerics.mm", .device = "", .outcome = ""});
    ASSERT_EQ(first->size(), 1u);
    const auto record = read_record(run_, first->front().position);
    EXPECT_EQ(record->body["check"], "ops.numerics.mm");
}

}  // namespace
}  // namespace ascertain::evidence
