#include "measure/device/message.hpp"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "base/random.hpp"

namespace ascertain::device {
namespace {

using testing::HasSubstr;

TEST(Message, ReadsEveryKindOfTheProtocol) {
    const auto hello = parse_message(
        R"({"hello": {"protocol": 1, "torch": "2.13.0", "host": "executable", "device": "cpu"}})");
    ASSERT_TRUE(hello.ok());
    EXPECT_EQ(std::get<Hello>(*hello).device, "cpu");
    EXPECT_EQ(std::get<Hello>(*hello).protocol, 1);

    const auto refused =
        parse_message(R"({"refused": {"kind": "library", "message": "no libtorch_npu"}})");
    ASSERT_TRUE(refused.ok());
    EXPECT_EQ(std::get<Refused>(*refused).kind, "library");

    const auto heartbeat = parse_message(R"({"heartbeat": 12, "id": null})");
    ASSERT_TRUE(heartbeat.ok());
    EXPECT_EQ(std::get<Heartbeat>(*heartbeat).number, 12);

    const auto progress = parse_message(
        R"({"id": 7, "progress": {"share": 0.25, "text": "step 75", "data": {"loss": 2.5}}})");
    ASSERT_TRUE(progress.ok());
    EXPECT_EQ(std::get<ProgressMessage>(*progress).data["loss"], 2.5);

    const auto result = parse_message(R"({"id": 7, "result": {"observation": []}})");
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(std::get<ResultMessage>(*result).id, 7);

    const auto error = parse_message(R"({"id": 7, "error": {"kind": "internal", "message": "m"}})");
    ASSERT_TRUE(error.ok());
    EXPECT_EQ(std::get<ErrorMessage>(*error).kind, "internal");
}

TEST(Message, RefusesWhatTheProtocolDoesNotKnow) {
    for (const char* line :
         {"", "null", "[1]", "hello", R"({"id": 7})", R"({"id": 7, "result": 3})",
          R"({"id": 7, "result": [1]})", R"({"id": "7", "result": {}})", R"({"result": {}})",
          R"({"id": 7, "error": "bad"})", R"({"id": 7, "progress": {"text": "no share"}})",
          R"({"hello": 1})", R"({"hello": {"device": "cpu"}})", R"({"hello": {"protocol": 1}})",
          R"({"id": 7, "result": {"value": NaN}})", R"({"id": 7, "result": {}} {"id": 7})"}) {
        EXPECT_FALSE(parse_message(line).ok()) << line;
    }
}

TEST(Message, AnAbsurdVersionIsReadAsADifferentOne) {
    const auto hello = parse_message(R"({"hello": {"protocol": 99999999999, "device": "cpu"}})");
    ASSERT_TRUE(hello.ok());
    EXPECT_EQ(std::get<Hello>(*hello).protocol, 1'000'000);
}

TEST(Message, NoMutationOfALineIsMoreThanAnError) {
    const std::vector<std::string> lines{
        R"({"hello": {"protocol": 1, "torch": "2.13.0", "host": "python", "device": "cpu"}})",
        R"({"id": 7, "progress": {"share": 0.25, "text": "step", "data": {"loss": [1, null]}}})",
        R"({"id": 7, "result": {"observation": [{"metric": "x", "value": 1e-3}]}})",
        R"({"id": 7, "error": {"kind": "internal", "message": "m"}})"};
    Random random(11, 0);
    std::size_t refused = 0;
    for (int round = 0; round < 20'000; ++round) {
        std::string line = lines[random.below(lines.size())];
        for (std::uint64_t edits = 1 + random.below(3); edits > 0 && !line.empty(); --edits) {
            const std::size_t place = random.below(line.size());
            switch (random.below(3)) {
                case 0: line[place] = static_cast<char>(random.below(256)); break;
                case 1: line.erase(place, 1 + random.below(8)); break;
                default: line.insert(place, line.substr(random.below(line.size()), 6)); break;
            }
        }
        const auto message = parse_message(line);
        if (message) continue;
        ++refused;
        ASSERT_FALSE(message.error().message.empty()) << line;
    }
    // Some mutations only touch a text and stay messages; most do not.
    EXPECT_GT(refused, 10'000u);
    EXPECT_LT(refused, 20'000u);
}

TEST(RequestLine, IsOneLineOfJson) {
    const std::string line = request_line(3, "replay", Json{{"text", "two\nlines"}}, Seconds{20.0});
    EXPECT_EQ(line,
              "{\"id\":3,\"request\":\"replay\",\"deadline_s\":20.0,\"params\":{\"text\":\"two\\n"
              "lines\"}}\n");
    EXPECT_THAT(request_line(1, "stop", Json(), Seconds{1.0}), HasSubstr("\"params\":{}"));
}

}  // namespace
}  // namespace ascertain::device
