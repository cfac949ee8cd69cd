// What the all-reduce algorithms share: long arrays travel in segments, so that one is added up while the next is on
// its way.
#pragma once

#include <span>
#include <vector>

#include "parallel/transport.h"
#include "tensor/cut.h"
#include "tensor/tensor.h"

namespace convoy {

// Long enough that the latency of a message does not count, short enough to stay in the second-level cache.
inline constexpr int64_t kSegmentFloats = 64 * 1024;

// `range` in consecutive segments of kSegmentFloats; the last may be shorter. None for an empty range.
std::vector<Range> segments(Range range);

inline std::span<float> part(std::span<float> values, Range range) {
  return values.subspan(static_cast<size_t>(range.begin), static_cast<size_t>(range.size()));
}

// into += from, elementwise.
void add(std::span<float> into, std::span<const float> from);

// Receives, one after the other, the segments that `from` sends, and adds each to its place in `values`;
// `added(i)` is called when segment i is done. Two staging buffers: the next segment arrives during an addition.
template <class Added>
void receive_and_add(Transport& transport, int from, std::span<float> values, const std::vector<Range>& incoming,
                     Added&& added) {
  Tensor buffers[2];  // of the pool, which keeps them from one sum to the next
  const auto staging = [&](size_t i) {
    Tensor& buffer = buffers[i % 2];
    if (!buffer.defined()) buffer = Tensor::empty({kSegmentFloats}, DType::f32, Device{});
    return std::span(buffer.data<float>(), static_cast<size_t>(incoming[i].size()));
  };
  const auto start = [&](size_t i) { return transport.receive(from, bytes_of(staging(i))); };
  std::unique_ptr<Message> next = incoming.empty() ? nullptr : start(0);
  for (size_t i = 0; i < incoming.size(); ++i) {
    const std::unique_ptr<Message> message = std::move(next);
    if (i + 1 < incoming.size()) next = start(i + 1);
    message->wait();
    add(part(values, incoming[i]), staging(i));
    added(i);
  }
}

// Several messages, waited for together.
class Messages {
 public:
  void add(std::unique_ptr<Message> message) { messages_.push_back(std::move(message)); }
  void wait() {
    for (const std::unique_ptr<Message>& message : messages_) message->wait();
    messages_.clear();
  }

 private:
  std::vector<std::unique_ptr<Message>> messages_;
};

}  // namespace convoy
