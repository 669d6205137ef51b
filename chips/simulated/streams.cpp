#include "chips/simulated/streams.hpp"

#include <ATen/Parallel.h>
#include <c10/util/Exception.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace ascertain::simulated {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kPooled = 8;

// A thread that does tasks in order. Never destroyed: a task may hang for ever.
class Queue {
public:
    explicit Queue(c10::DeviceIndex device) {
        std::thread([this, device] {
            set_current_device(device);
            at::init_num_threads();  // as many as the host asked for: bits can depend on it
            work();
        }).detach();
    }

    void add(std::function<void()> task) {
        {
            const std::lock_guard lock(mutex_);
            tasks_.push_back(std::move(task));
            ++unfinished_;
        }
        added_.notify_one();
    }

    [[nodiscard]] bool idle() {
        const std::lock_guard lock(mutex_);
        return unfinished_ == 0;
    }

    void wait() {
        std::unique_lock lock(mutex_);
        done_.wait(lock, [this] { return unfinished_ == 0; });
        if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    }

private:
    [[noreturn]] void work() {
        while (true) {
            std::function<void()> task = next();
            try {
                task();
            } catch (...) {
                const std::lock_guard lock(mutex_);
                if (!failure_) failure_ = std::current_exception();
            }
            task = nullptr;  // what it held is free before anybody hears that it is done
            {
                const std::lock_guard lock(mutex_);
                --unfinished_;
            }
            done_.notify_all();
        }
    }

    std::function<void()> next() {
        std::unique_lock lock(mutex_);
        added_.wait(lock, [this] { return !tasks_.empty(); });
        std::function<void()> task = std::move(tasks_.front());
        tasks_.pop_front();
        return task;
    }

    std::mutex mutex_;
    std::condition_variable added_;
    std::condition_variable done_;
    std::deque<std::function<void()>> tasks_;
    std::size_t unfinished_ = 0;
    std::exception_ptr failure_;
};

// Stream n > 0 of a device is queue n - 1; the first eight are the shared ones.
struct DeviceQueues {
    std::mutex mutex;
    std::vector<std::unique_ptr<Queue>> all;
    std::size_t turn = 0;
};

DeviceQueues& queues_of(c10::DeviceIndex device) {
    static auto* all = new std::array<DeviceQueues, kDevicesMax>;
    check_index(device);
    return (*all)[static_cast<std::size_t>(device)];
}

Queue& queue_of(const c10::Stream& stream) {
    DeviceQueues& queues = queues_of(stream.device_index());
    const std::lock_guard lock(queues.mutex);
    const auto place = static_cast<std::size_t>(stream.id()) - 1;
    TORCH_CHECK(place < queues.all.size(), stream, " is no stream of this process");
    return *queues.all[place];
}

c10::Stream stream_at(c10::DeviceIndex device, std::int64_t id) {
    return c10::Stream(c10::Stream::UNSAFE, c10::Device(kDeviceType, device), id);
}

std::atomic<bool> any_exchanged = false;
thread_local std::array<std::int64_t, kDevicesMax> current_ids{};

// One record of an event.
struct Moment {
    std::mutex mutex;
    std::condition_variable reached;
    bool done = false;
    Clock::time_point time;

    void reach() {
        {
            const std::lock_guard lock(mutex);
            done = true;
            time = Clock::now();
        }
        reached.notify_all();
    }
    void wait() {
        std::unique_lock lock(mutex);
        reached.wait(lock, [this] { return done; });
    }
    [[nodiscard]] bool is_done() {
        const std::lock_guard lock(mutex);
        return done;
    }
};

struct Event {
    std::shared_ptr<Moment> last;
};

std::shared_ptr<Moment> last_of(void* event) {
    return event == nullptr ? nullptr : static_cast<Event*>(event)->last;
}

}  // namespace

c10::Stream default_stream(c10::DeviceIndex device) {
    return c10::Stream(c10::Stream::DEFAULT, c10::Device(kDeviceType, device));
}

c10::Stream new_stream(c10::DeviceIndex device) {
    DeviceQueues& queues = queues_of(device);
    const std::lock_guard lock(queues.mutex);
    while (queues.all.size() < kPooled) queues.all.push_back(nullptr);
    queues.all.push_back(std::make_unique<Queue>(device));
    return stream_at(device, static_cast<std::int64_t>(queues.all.size()));
}

c10::Stream pooled_stream(c10::DeviceIndex device) {
    DeviceQueues& queues = queues_of(device);
    const std::lock_guard lock(queues.mutex);
    while (queues.all.size() < kPooled) queues.all.push_back(nullptr);
    const std::size_t place = queues.turn++ % kPooled;
    if (queues.all[place] == nullptr) queues.all[place] = std::make_unique<Queue>(device);
    return stream_at(device, static_cast<std::int64_t>(place) + 1);
}

c10::Stream current_stream(c10::DeviceIndex device) {
    const std::int64_t id = current_ids[static_cast<std::size_t>(device)];
    return id == 0 ? default_stream(device) : stream_at(device, id);
}

c10::Stream exchange_stream(c10::Stream stream) {
    const c10::Stream before = current_stream(stream.device_index());
    if (stream.id() != 0) any_exchanged = true;
    current_ids[static_cast<std::size_t>(stream.device_index())] = stream.id();
    return before;
}

bool streams_in_use() noexcept {
    return any_exchanged.load(std::memory_order_relaxed);
}

std::optional<c10::Stream> queued_stream(c10::DeviceIndex device) {
    const std::int64_t id = current_ids[static_cast<std::size_t>(device)];
    return id == 0 ? std::nullopt : std::optional(stream_at(device, id));
}

void enqueue(const c10::Stream& stream, std::function<void()> task) {
    queue_of(stream).add(std::move(task));
}

void enqueue_and_wait(const c10::Stream& stream, const std::function<void()>& task) {
    std::packaged_task<void()> packaged(task);
    std::future<void> done = packaged.get_future();
    queue_of(stream).add([&packaged] { packaged(); });
    done.get();
}

bool is_idle(const c10::Stream& stream) {
    return stream.id() == 0 || queue_of(stream).idle();
}

void wait_for_stream(const c10::Stream& stream) {
    if (stream.id() != 0) queue_of(stream).wait();
}

void wait_for_device(c10::DeviceIndex device) {
    DeviceQueues& queues = queues_of(device);
    std::vector<Queue*> all;
    {
        const std::lock_guard lock(queues.mutex);
        for (const auto& queue : queues.all) {
            if (queue != nullptr) all.push_back(queue.get());
        }
    }
    for (Queue* queue : all) queue->wait();
}

void record_event(void** event, const c10::Stream& stream) {
    if (*event == nullptr) *event = new Event;
    auto moment = std::make_shared<Moment>();
    static_cast<Event*>(*event)->last = moment;
    if (stream.id() == 0) return moment->reach();
    enqueue(stream, [moment] { moment->reach(); });
}

void destroy_event(void* event) noexcept {
    delete static_cast<Event*>(event);
}

void make_stream_wait(void* event, const c10::Stream& stream) {
    const auto moment = last_of(event);
    if (moment == nullptr) return;
    if (stream.id() == 0) return moment->wait();
    enqueue(stream, [moment] { moment->wait(); });
}

bool event_is_done(void* event) {
    const auto moment = last_of(event);
    return moment == nullptr || moment->is_done();
}

void wait_for_event(void* event) {
    if (const auto moment = last_of(event)) moment->wait();
}

double elapsed_ms(void* from, void* to) {
    const auto first = last_of(from);
    const auto second = last_of(to);
    TORCH_CHECK(first && second, "an event that was not recorded has no time");
    TORCH_CHECK(first->is_done() && second->is_done(),
                "an event has no time before its stream has come to it");
    const std::chrono::duration<double, std::milli> elapsed = second->time - first->time;
    return elapsed.count();
}

}  // namespace ascertain::simulated
