// Every armed fault changes what it says, and nothing else. Each runs in a child process: a plug-in
// reads its defects once, when it loads.
#include <ATen/Functions.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <sstream>
#include <vector>

#include "chips/simulated/plugin_for_test.hpp"
#include "worker/host/torch.hpp"

namespace ascertain::simulated {
namespace {

using Values = std::vector<float>;

struct Ran {
    int status = 0;       // of waitpid
    Values values;        // what the computation returned
    std::string message;  // why the plug-in refused, or what was thrown
    std::int64_t matched = -1;
    std::int64_t fired = -1;
};

class Folder {
public:
    Folder() {
        std::string name = (std::filesystem::temp_directory_path() / "defects-XXXXXX").string();
        EXPECT_NE(::mkdtemp(name.data()), nullptr);
        path_ = name;
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() { std::filesystem::remove_all(path_); }
    [[nodiscard]] std::string file(const char* name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

std::string text_of(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

c10::Device chip() {
    return {c10::DeviceType::PrivateUse1, 0};
}

void run_in_child(const Folder& folder, const std::function<Values()>& compute) {
    std::ofstream out(folder.file("message"));
    std::ofstream numbers(folder.file("values"), std::ios::binary);
    const std::string refused = load_plugin();
    out << refused << std::flush;
    if (!refused.empty()) ::_exit(3);
    try {
        const Values values = compute();
        numbers.write(reinterpret_cast<const char*>(values.data()),
                      static_cast<std::streamsize>(values.size() * sizeof(float)));
        numbers.flush();
    } catch (const c10::Error& error) {
        out << error.what_without_backtrace() << std::flush;
        ::_exit(4);
    }
    ::_exit(0);
}

// `defect` is the body of the file; `seconds` after which a child that hangs is killed.
Ran run(const std::string& defect, const std::function<Values()>& compute, unsigned seconds = 60) {
    const Folder folder;
    std::ofstream(folder.file("defects.toml")) << defect;
    const pid_t child = ::fork();
    if (child == 0) {
        ::setenv("ASCERTAIN_DEFECTS_COUNTS", folder.file("counts").c_str(), 1);
        if (!defect.empty()) {
            ::setenv("ASCERTAIN_DEFECTS", folder.file("defects.toml").c_str(), 1);
        }
        ::signal(SIGALRM, SIG_DFL);
        ::alarm(seconds);
        run_in_child(folder, compute);
    }
    Ran ran;
    EXPECT_EQ(::waitpid(child, &ran.status, 0), child);
    ran.message = text_of(folder.file("message"));
    const std::string bytes = text_of(folder.file("values"));
    ran.values.resize(bytes.size() / sizeof(float));
    std::copy_n(bytes.data(), ran.values.size() * sizeof(float),
                reinterpret_cast<char*>(ran.values.data()));
    std::istringstream counts(text_of(folder.file("counts")));
    std::string id;
    counts >> id >> ran.matched >> ran.fired;
    return ran;
}

std::string defect(const std::string& where, const std::string& does,
                   const std::string& when = "") {
    return "schema = \"ascertain.defect/1\"\n[[defect]]\nid = \"planted\"\nsummary = \"s\"\n"
           "source = \"test\"\n[defect.where]\n" +
           where + "\n" + (when.empty() ? "" : "[defect.when]\n" + when + "\n") +
           "[defect.does]\n" + does + "\n";
}

Values values_of(const at::Tensor& tensor) {
    const at::Tensor flat = tensor.detach().to(at::kCPU).to(at::kFloat).contiguous().view({-1});
    return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
}

// [m, n] of deterministic numbers with 24 bits, so that the order of a sum shows.
at::Tensor ramp(std::int64_t m, std::int64_t n) {
    return at::arange(m * n).to(at::kFloat).mul(0.37).sin().view({m, n}).to(chip());
}

Values product() {
    return values_of(at::mm(ramp(4, 64), ramp(64, 4)));
}

const Values& healthy_product() {
    static const Values values = run("", product).values;
    return values;
}

// Runs `product` with the defect of mm; expects it to have fired once.
Values product_with(const std::string& does) {
    const Ran ran = run(defect("operator = \"mm\"", does), product);
    EXPECT_EQ(ran.message, "");
    EXPECT_EQ(ran.fired, 1) << does;
    EXPECT_EQ(ran.values.size(), 16U) << does;
    return ran.values;
}

TEST(Defects, NothingArmedNothingChanges) {
    ASSERT_EQ(healthy_product().size(), 16U);
    const Ran other = run(defect("operator = \"bmm\"", "kind = \"zero_output\""), product);
    EXPECT_EQ(other.values, healthy_product());
    EXPECT_EQ(other.matched, 0);
    EXPECT_EQ(other.fired, 0);
}

TEST(Defects, ScaleMultipliesEveryElement) {
    Values expected = healthy_product();
    for (float& value : expected) value *= 1.5F;
    EXPECT_EQ(product_with("kind = \"scale\"\nfactor = 1.5"), expected);
}

TEST(Defects, FlipBitChangesOneBitOfOneElement) {
    Values expected = healthy_product();
    expected[5] = -expected[5];
    EXPECT_EQ(product_with("kind = \"flip_bit\"\nbit = 31\nelement = 5"), expected);
}

TEST(Defects, RoundedPartialSumsAreOffByMoreThanFp32AndLessThanAFewBf16Steps) {
    const Values found = product_with("kind = \"round_partial_sums\"\nchunk = 8");
    float worst = 0.0F;
    for (std::size_t i = 0; i < found.size(); ++i) {
        worst = std::max(worst, std::abs(found[i] - healthy_product()[i]));
    }
    EXPECT_GT(worst, 1e-3F);                  // a sum near 1 is rounded by up to 2^-9
    EXPECT_LT(worst, 8.0F * 64.0F / 512.0F);  // 8 roundings by at most 2^-9 of at most 64
}

TEST(Defects, AnyOrderOfPartialSumsGivesOtherBitsNearTheSameNumbers) {
    const auto repeated = [] {
        const at::Tensor left = ramp(32, 512);
        const at::Tensor right = ramp(512, 32);
        const at::Tensor first = at::mm(left, right);
        int different = 0;
        float worst = 0.0F;
        for (int i = 0; i < 8; ++i) {
            const at::Tensor again = at::mm(left, right);
            different += again.to(at::kCPU).equal(first.to(at::kCPU)) ? 0 : 1;
            worst = std::max(worst, again.sub(first).abs().max().item<float>());
        }
        return Values{static_cast<float>(different), worst};
    };
    const Ran ran =
        run(defect("operator = \"mm\"", "kind = \"nondeterministic_order\"\nchunk = 32"), repeated);
    ASSERT_EQ(ran.values.size(), 2U) << ran.message;
    EXPECT_GT(ran.values[0], 0.0F);
    EXPECT_LT(ran.values[1], 1e-3F);
    EXPECT_EQ(run("", repeated).values, (Values{0.0F, 0.0F}));
}

TEST(Defects, DropTailLeavesWhatWasThere) {
    Values expected = healthy_product();
    std::fill(expected.end() - 3, expected.end(), 0.0F);
    EXPECT_EQ(product_with("kind = \"drop_tail\"\nelements = 3"), expected);
    const Ran in_place = run(defect("operator = \"add\"", "kind = \"drop_tail\"\nelements = 1"),
                             [] { return values_of(at::ones({3}).to(chip()).add_(1.0)); });
    EXPECT_EQ(in_place.values, (Values{2.0F, 2.0F, 1.0F}));
}

TEST(Defects, ZeroOutputAndShiftedElementsAndSaturation) {
    EXPECT_EQ(product_with("kind = \"zero_output\""), Values(16, 0.0F));
    Values shifted = healthy_product();
    std::rotate(shifted.begin(), shifted.end() - 2, shifted.end());
    EXPECT_EQ(product_with("kind = \"shift_elements\"\nby = 2"), shifted);
    Values clamped = healthy_product();
    for (float& value : clamped) value = std::clamp(value, -0.25F, 0.25F);
    EXPECT_NE(clamped, healthy_product());
    EXPECT_EQ(product_with("kind = \"saturate\"\nlimit = 0.25"), clamped);
}

TEST(Defects, StaleOutputIsThatOfTheCallBefore) {
    const Ran ran = run(defect("operator = \"neg\"", "kind = \"stale_output\""), [] {
        Values all;
        for (const double number : {1.0, 2.0, 3.0}) {
            all.push_back(at::full({1}, number).to(chip()).neg().item<float>());
        }
        return all;
    });
    EXPECT_EQ(ran.values, (Values{-1.0F, -1.0F, -2.0F}));
    EXPECT_EQ(ran.fired, 2);
}

TEST(Defects, RaiseThrowsInTheCallerAlsoFromBackward) {
    const auto backward = [] {
        at::Tensor x = at::ones({4}).to(chip()).set_requires_grad(true);
        at::silu(x).sum().backward();
        return values_of(x.grad());
    };
    const Ran ran = run(
        defect("operator = \"silu_backward\"", "kind = \"raise\"\nmessage = \"lost\""), backward);
    EXPECT_EQ(WEXITSTATUS(ran.status), 4);
    EXPECT_NE(ran.message.find("lost [planted]"), std::string::npos) << ran.message;
    EXPECT_EQ(ran.fired, 1);
    EXPECT_EQ(run("", backward).values.size(), 4U);
}

TEST(Defects, CrashEndsTheProcessAndIsCounted) {
    const Ran ran = run(defect("operator = \"mm\"", "kind = \"crash\""), product);
    EXPECT_TRUE(WIFSIGNALED(ran.status));
    EXPECT_EQ(WTERMSIG(ran.status), SIGABRT);
    EXPECT_EQ(ran.fired, 1);
}

TEST(Defects, HangOnlyEndsByAKillAndIsCounted) {
    const Ran ran = run(defect("operator = \"mm\"", "kind = \"hang\""), product, 5);
    EXPECT_TRUE(WIFSIGNALED(ran.status));
    EXPECT_EQ(WTERMSIG(ran.status), SIGALRM);
    EXPECT_EQ(ran.fired, 1);
}

TEST(Defects, SleepTakesItsTimeAndChangesNothing) {
    const Ran ran = run(defect("operator = \"mm\"", "kind = \"sleep\"\nfor = \"30 ms\""), [] {
        const at::Tensor left = ramp(4, 64);
        const at::Tensor right = ramp(64, 4);
        const auto begin = std::chrono::steady_clock::now();
        Values values = values_of(at::mm(left, right));
        const std::chrono::duration<float> took = std::chrono::steady_clock::now() - begin;
        values.push_back(took.count());
        return values;
    });
    ASSERT_EQ(ran.values.size(), 17U);
    EXPECT_GE(ran.values.back(), 0.03F);
    EXPECT_EQ(Values(ran.values.begin(), ran.values.end() - 1), healthy_product());
}

TEST(Defects, FallBackTakesTheKernelAwayAndKeepsTheNumbers) {
    const auto native = [] {
        const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("aten::mm", "");
        Values values = product();
        values.push_back(op.hasKernelForDispatchKey(c10::DispatchKey::PrivateUse1) ? 1.0F : 0.0F);
        return values;
    };
    Values expected = healthy_product();
    expected.push_back(0.0F);
    const Ran ran = run(defect("operator = \"mm\"", "kind = \"fall_back\""), native);
    EXPECT_EQ(ran.values, expected);
    EXPECT_GE(ran.fired, 1);
    expected.back() = 1.0F;
    EXPECT_EQ(run("", native).values, expected);
}

TEST(Defects, ConditionsHoldTheFaultBack) {
    // Calls 0 to 9 of neg; the fault shows as zero.
    const auto ten = [] {
        Values all;
        for (int i = 0; i < 10; ++i) {
            all.push_back(at::ones({1}).to(chip()).neg().item<float>());
        }
        return all;
    };
    const auto with = [&](const std::string& when) {
        return run(defect("operator = \"neg\"", "kind = \"zero_output\"", when), ten);
    };
    Values expected(10, -1.0F);
    expected[3] = expected[7] = 0.0F;
    EXPECT_EQ(with("after_calls = 3\nevery = 4").values, expected);
    EXPECT_EQ(with("after_calls = 3\nevery = 4\ntimes = 1").fired, 1);
    const Ran drawn = with("probability = 0.5\nseed = 4");
    EXPECT_GT(drawn.fired, 0);
    EXPECT_LT(drawn.fired, 10);
    EXPECT_EQ(with("probability = 0.5\nseed = 4").values, drawn.values);
}

TEST(Defects, PlacesHoldTheFaultBack) {
    const auto fired = [](const std::string& where) {
        return run(defect("operator = \"mm\"\n" + where, "kind = \"zero_output\""),
                   [] {
                       static_cast<void>(at::mm(ramp(4, 64), ramp(64, 4)));
                       static_cast<void>(at::mm(ramp(4, 48), ramp(4, 48).t()));
                       at::Tensor x = ramp(4, 8).set_requires_grad(true);
                       at::mm(x.to(at::kBFloat16), ramp(8, 4).to(at::kBFloat16)).sum().backward();
                       return Values{};
                   })
            .fired;
    };
    EXPECT_EQ(fired("k_at_least = 48"), 2);
    EXPECT_EQ(fired("last_dim_multiple_of = 32"), 1);
    EXPECT_EQ(fired("dtype = \"bf16\""), 2);
    EXPECT_EQ(fired("phase = \"forward\""), 3);
    EXPECT_EQ(fired("phase = \"backward\""), 1);
    EXPECT_EQ(fired("layout = \"transposed\"\nphase = \"forward\""), 1);
    EXPECT_EQ(fired("layout = \"contiguous\"\nphase = \"forward\""), 2);
}

std::string refusal(const std::string& text) {
    const Ran ran = run(text, product);
    EXPECT_EQ(WEXITSTATUS(ran.status), 3) << text;
    return ran.message;
}

TEST(Defects, AFileThatDoesNotReadWellIsRefusedWithItsPlace) {
    const auto says = [](const std::string& text, const std::string& part) {
        const std::string message = refusal(text);
        EXPECT_NE(message.find(part), std::string::npos) << message;
    };
    says(defect("operator = \"silu_bakward\"", "kind = \"crash\""),
         "did you mean \"silu_backward\"");
    says(defect("operator = \"silu_bakward\"", "kind = \"crash\""), "defects.toml:7:");
    says(defect("operator = \"linear\"", "kind = \"crash\""), "does not reach");
    says(defect("operator = \"mm\"\nlayuot = \"any\"", "kind = \"crash\""), "layout");
    says(defect("operator = \"mm\"", "kind = \"scael\""), "did you mean \"scale\"");
    says(defect("operator = \"mm\"", "kind = \"scale\""), "factor");
    says(defect("operator = \"add\"", "kind = \"round_partial_sums\"\nchunk = 4"), "inside mm");
    says(defect("operator = \"mm\"", "kind = \"fall_back\"", "every = 2"), "fall_back");
    says("schema = \"ascertain.defect/1\"\n", "defect");
    says("[[defect", "defects.toml:1:");
}

TEST(Defects, EveryShippedExampleReadsWell) {
    int count = 0;
    const std::filesystem::path folder =
        std::filesystem::path(ASCERTAIN_SOURCE_DIR) / "data/defects/examples";
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        ++count;
        EXPECT_EQ(run(text_of(entry.path().string()), [] { return Values{}; }).message, "")
            << entry.path();
    }
    EXPECT_GE(count, 22);
}

}  // namespace
}  // namespace ascertain::simulated
