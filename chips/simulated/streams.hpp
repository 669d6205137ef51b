// Streams and events. The default stream of a device has done a call when the call returns. Every
// other stream has a thread and a queue of its own: what is called there is done later, in order,
// and who reads without waiting reads what was there before.
#pragma once

#include <c10/core/Stream.h>

#include <functional>
#include <optional>

#include "chips/simulated/device.hpp"

namespace ascertain::simulated {

// The default stream of a device has number 0.
[[nodiscard]] c10::Stream default_stream(c10::DeviceIndex device);
// A stream with a thread of its own, which lives as long as the process.
[[nodiscard]] c10::Stream new_stream(c10::DeviceIndex device);
// One of the device's eight shared ones, in turns.
[[nodiscard]] c10::Stream pooled_stream(c10::DeviceIndex device);

// Of the calling thread.
[[nodiscard]] c10::Stream current_stream(c10::DeviceIndex device);
c10::Stream exchange_stream(c10::Stream stream);
// Whether any thread ever left a default stream.
[[nodiscard]] bool streams_in_use() noexcept;
// The thread's stream on the device, unless it is the default one.
[[nodiscard]] std::optional<c10::Stream> queued_stream(c10::DeviceIndex device);

// Appends to a stream that is not the default one.
void enqueue(const c10::Stream& stream, std::function<void()> task);
// Appends, and waits until it is done. Throws what `task` throws.
void enqueue_and_wait(const c10::Stream& stream, const std::function<void()>& task);

[[nodiscard]] bool is_idle(const c10::Stream& stream);
// Return when all is done that was enqueued before. Throw what a task threw since the last wait.
void wait_for_stream(const c10::Stream& stream);
void wait_for_device(c10::DeviceIndex device);

// Events, as c10's guard hands them around: made by the first record.
void record_event(void** event, const c10::Stream& stream);
void destroy_event(void* event) noexcept;
// What follows on `stream` waits for the last record; on the default stream the caller does.
void make_stream_wait(void* event, const c10::Stream& stream);
[[nodiscard]] bool event_is_done(void* event);
void wait_for_event(void* event);
// Between the two records, in milliseconds. Throws c10::Error unless both are done.
[[nodiscard]] double elapsed_ms(void* from, void* to);

}  // namespace ascertain::simulated
