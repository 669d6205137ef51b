// Effects on where results go, and when.
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randint.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <thread>

#include "chips/simulated/defects/effects.hpp"

namespace ascertain::simulated::defects {
namespace {

// The elements [begin, end) become what was there before the call, or zeros in new memory.
bool keep_before(const Output& output, std::int64_t begin, std::int64_t end) {
    const std::int64_t count = end - begin;
    if (count <= 0) return false;
    const bool was_there = output.before.defined() && output.before.sizes() == output.now.sizes();
    change_flat(output.now, [&](at::Tensor& flat) {
        at::Tensor part = flat.narrow(0, begin, count);
        if (was_there) {
            part.copy_(output.before.reshape({-1}).narrow(0, begin, count));
        } else {
            part.zero_();
        }
    });
    return true;
}

bool each_output(Moment& moment, const std::function<bool(const Output&)>& change) {
    bool done = false;
    for (const Output& output : moment.outputs) {
        if (output.now.numel() > 0) done |= change(output);
    }
    return done;
}

bool drop_tail(Moment& moment) {
    return each_output(moment, [&](const Output& output) {
        const std::int64_t all = output.now.numel();
        return keep_before(output, all - std::min(moment.does.whole("elements"), all), all);
    });
}

bool drop_head(Moment& moment) {
    return each_output(moment, [&](const Output& output) {
        return keep_before(output, 0, std::min(moment.does.whole("elements"), output.now.numel()));
    });
}

bool drop_tail_random(Moment& moment) {
    return each_output(moment, [&](const Output& output) {
        const auto all = output.now.numel();
        const auto begin =
            static_cast<std::int64_t>(moment.random.below(static_cast<std::uint64_t>(all)));
        return keep_before(output, begin, all);
    });
}

bool skip_write(Moment& moment) {
    return each_output(moment, [&](const Output& output) {
        if (!output.before.defined()) return false;
        return keep_before(output, std::min(moment.does.whole("beyond"), output.now.numel()),
                           output.now.numel());
    });
}

bool stale_output(Moment& moment) {
    bool done = false;
    for (std::size_t i = 0; i < moment.outputs.size() && i < moment.previous.size(); ++i) {
        const at::Tensor& now = moment.outputs[i].now;
        const at::Tensor& stale = moment.previous[i];
        if (!stale.defined() || now.numel() == 0 || stale.sizes() != now.sizes() ||
            stale.scalar_type() != now.scalar_type()) {
            continue;
        }
        const auto [begin, end] = part_of(moment, now.numel());
        change_flat(now, [&, begin = begin, end = end](at::Tensor& flat) {
            flat.narrow(0, begin, end - begin)
                .copy_(stale.reshape({-1}).narrow(0, begin, end - begin));
        });
        done = true;
    }
    return done;
}

bool uninitialised(Moment& moment) {
    return each_output(moment, [&](const Output& output) {
        const at::Tensor& now = output.now;
        const auto [begin, end] = part_of(moment, now.numel());
        change_flat(now, [&, begin = begin, end = end](at::Tensor& flat) {
            auto* bytes = static_cast<std::uint8_t*>(flat.mutable_data_ptr());
            const auto size = static_cast<std::int64_t>(flat.element_size());
            for (std::int64_t at = begin * size; at < end * size; ++at) {
                bytes[at] = static_cast<std::uint8_t>(moment.random.next_u64() >> 56U);
            }
        });
        if (is_floating(now) && end > begin) {
            change_flat(now, [begin = begin](at::Tensor& flat) {
                flat.narrow(0, begin, 1).fill_(std::numeric_limits<double>::quiet_NaN());
            });
        }
        return end > begin;
    });
}

// Writes that threads still owe. Never destroyed: threads may outlive static objects.
struct LateWrites {
    struct Debt {
        at::Tensor target;
        at::Tensor values;
        c10::DeviceIndex device = 0;
        bool paid = false;
    };
    std::mutex mutex;
    std::vector<std::shared_ptr<Debt>> debts;
};
LateWrites& late_writes() {
    static auto* made = new LateWrites;
    return *made;
}

void pay(LateWrites::Debt& debt) {
    if (!debt.paid) debt.target.copy_(debt.values);
    debt.paid = true;
}

bool late_write(Moment& moment) {
    const double delay_s = moment.does.number("for");
    bool done = false;
    for (const Output& output : moment.outputs) {
        const at::Tensor& now = output.now;
        // Memory that the output does not own may be gone when the thread comes.
        if (now.numel() == 0 || output.before.defined()) continue;
        auto debt = std::make_shared<LateWrites::Debt>();
        debt->target = now;
        debt->values = now.clone();
        debt->device = device_of(moment);
        const auto share = moment.does.number("share");
        const auto kept =
            static_cast<std::int64_t>((1.0 - share) * static_cast<double>(now.numel()));
        if (!keep_before(output, kept, now.numel())) continue;
        {
            LateWrites& all = late_writes();
            const std::lock_guard lock(all.mutex);
            std::erase_if(all.debts, [](const auto& one) { return one->paid; });
            all.debts.push_back(debt);
        }
        std::thread([debt, delay_s] {
            std::this_thread::sleep_for(std::chrono::duration<double>(delay_s));
            const std::lock_guard lock(late_writes().mutex);
            pay(*debt);
        }).detach();
        done = true;
    }
    return done;
}

bool shift_elements(Moment& moment) {
    const std::int64_t by = moment.does.whole("by");
    return each_output(moment, [&](const Output& output) {
        if (output.now.numel() < 2 || by % output.now.numel() == 0) return false;
        change_flat(output.now, [&](at::Tensor& flat) { flat.copy_(flat.roll(by)); });
        return true;
    });
}

bool swap_halves(Moment& moment) {
    return each_output(moment, [&](const Output& output) {
        const std::int64_t half = output.now.numel() / 2;
        if (half == 0) return false;
        change_flat(output.now, [&](at::Tensor& flat) { flat.copy_(flat.roll(half)); });
        return true;
    });
}

bool swap_elements(Moment& moment) {
    const std::int64_t first = moment.does.whole("first");
    const std::int64_t second = moment.does.whole("second");
    return each_output(moment, [&](const Output& output) {
        if (std::max(first, second) >= output.now.numel() || first == second) return false;
        change_flat(output.now, [&](at::Tensor& flat) {
            const at::Tensor kept = flat.narrow(0, first, 1).clone();
            flat.narrow(0, first, 1).copy_(flat.narrow(0, second, 1));
            flat.narrow(0, second, 1).copy_(kept);
        });
        return true;
    });
}

bool swap_last_chosen(Moment& moment) {
    return each_output(moment, [&](const Output& output) {
        const at::Tensor& now = output.now;
        if (now.dim() == 0 || now.size(-1) < 2) return false;
        const at::Tensor pair = now.narrow(-1, now.size(-1) - 2, 2);
        pair.copy_(pair.flip({-1}).clone());
        return true;
    });
}

bool swap_outputs(Moment& moment) {
    const auto first = static_cast<std::size_t>(moment.does.whole("first"));
    const auto second = static_cast<std::size_t>(moment.does.whole("second"));
    if (std::max(first, second) >= moment.outputs.size()) return false;
    const at::Tensor& one = moment.outputs[first].now;
    const at::Tensor& other = moment.outputs[second].now;
    if (one.sizes() != other.sizes() || one.scalar_type() != other.scalar_type()) return false;
    const at::Tensor kept = one.clone();
    one.copy_(other);
    other.copy_(kept);
    return true;
}

bool wrap_elements(Moment& moment) {
    const std::int64_t at = moment.does.whole("at");
    return each_output(moment, [&](const Output& output) {
        if (output.now.numel() <= at) return false;
        change_flat(output.now, [&](at::Tensor& flat) {
            for (std::int64_t begin = at; begin < flat.numel(); begin += at) {
                const std::int64_t count = std::min(at, flat.numel() - begin);
                flat.narrow(0, begin, count).copy_(flat.narrow(0, 0, count));
            }
        });
        return true;
    });
}

bool transpose_data(Moment& moment) {
    return each_output(moment, [&](const Output& output) {
        const at::Tensor& now = output.now;
        if (now.dim() < 2 || now.size(-1) < 2 || now.size(-2) < 2) return false;
        now.copy_(now.transpose(-1, -2).contiguous().reshape(now.sizes()).clone());
        return true;
    });
}

bool pack_output(Moment& moment) {
    return each_output(moment, [&](const Output& output) {
        const at::Tensor& now = output.now;
        if (now.is_contiguous()) return false;
        const at::Tensor values = now.contiguous().reshape({-1}).clone();
        if (output.before.defined()) now.copy_(output.before);
        now.as_strided({values.numel()}, {1}, now.storage_offset()).copy_(values);
        return true;
    });
}

bool repeat_first_row(Moment& moment) {
    return each_output(moment, [&](const Output& output) {
        const at::Tensor& now = output.now;
        if (now.dim() < 2 || now.size(-2) < 2) return false;
        now.copy_(now.narrow(-2, 0, 1).clone().expand_as(now));
        return true;
    });
}

bool overlap_rows(Moment& moment) {
    return each_output(moment, [&](const Output& output) {
        const at::Tensor& now = output.now;
        if (now.dim() < 2 || now.size(-2) < 2) return false;
        const std::int64_t bytes = moment.does.whole("bytes");
        const auto count = std::min(
            now.size(-1),
            std::max<std::int64_t>(1, bytes / static_cast<std::int64_t>(now.element_size())));
        const std::int64_t rows = now.size(-2);
        now.narrow(-2, 0, rows - 1)
            .narrow(-1, now.size(-1) - count, count)
            .copy_(now.narrow(-2, 1, rows - 1).narrow(-1, 0, count).clone());
        return true;
    });
}

bool write_past_end(Moment& moment) {
    const auto wanted = static_cast<std::size_t>(moment.does.whole("bytes"));
    return each_output(moment, [&](const Output& output) {
        const at::Tensor& now = output.now;
        std::int64_t last = now.storage_offset();
        for (std::int64_t dim = 0; dim < now.dim(); ++dim) {
            last += (now.size(dim) - 1) * now.stride(dim);
        }
        const auto end = static_cast<std::size_t>(last + 1) * now.element_size();
        const std::size_t there = now.storage().nbytes();
        if (end >= there) return false;
        auto* bytes = static_cast<std::uint8_t*>(now.storage().mutable_data());
        for (std::size_t at = end; at < std::min(end + wanted, there); ++at) bytes[at] ^= 0xA5U;
        return true;
    });
}

constexpr std::array kActions{Action{"drop_tail", Stage::kAfter, drop_tail},
                              Action{"drop_head", Stage::kAfter, drop_head},
                              Action{"drop_tail_random", Stage::kAfter, drop_tail_random},
                              Action{"skip_write", Stage::kAfter, skip_write},
                              Action{"stale_output", Stage::kAfter, stale_output},
                              Action{"uninitialised", Stage::kAfter, uninitialised},
                              Action{"late_write", Stage::kAfter, late_write},
                              Action{"shift_elements", Stage::kAfter, shift_elements},
                              Action{"swap_halves", Stage::kAfter, swap_halves},
                              Action{"swap_elements", Stage::kAfter, swap_elements},
                              Action{"swap_last_chosen", Stage::kAfter, swap_last_chosen},
                              Action{"swap_outputs", Stage::kAfter, swap_outputs},
                              Action{"wrap_elements", Stage::kAfter, wrap_elements},
                              Action{"transpose_data", Stage::kAfter, transpose_data},
                              Action{"pack_output", Stage::kAfter, pack_output},
                              Action{"repeat_first_row", Stage::kAfter, repeat_first_row},
                              Action{"overlap_rows", Stage::kAfter, overlap_rows},
                              Action{"write_past_end", Stage::kAfter, write_past_end}};

}  // namespace

void flush_late_writes(c10::DeviceIndex device) {
    LateWrites& all = late_writes();
    const std::lock_guard lock(all.mutex);
    std::erase_if(all.debts, [&](const auto& debt) {
        if (debt->device != device) return false;
        pay(*debt);
        return true;
    });
}

std::span<const Action> place_actions() {
    return kActions;
}

}  // namespace ascertain::simulated::defects
