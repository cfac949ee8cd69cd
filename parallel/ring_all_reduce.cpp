#include "parallel/ring_all_reduce.h"

#include "parallel/segments.h"

namespace convoy {

// The array is cut into R chunks. Each travels once around the ring and is added to on its way, then once more, complete:
//
//   reduce-scatter   in step t = 0 … R-2 rank r sends chunk r - t and adds the incoming chunk r - t - 1 to its own;
//                    after it, rank r has all of chunk r + 1
//   all-gather       in step t rank r sends chunk r + 1 - t and receives chunk r - t                   (all modulo R)
//
// A segment is sent on as soon as it is there; a rank does not wait for the rest of its chunk.
void ring_all_reduce(Transport& transport, std::span<float> values) {
  const int ranks = transport.size(), rank = transport.rank();
  if (ranks == 1) return;
  const int next = (rank + 1) % ranks, previous = (rank + ranks - 1) % ranks;
  const auto chunk = [&](int index) {
    return segments(cut(static_cast<int64_t>(values.size()), (index % ranks + ranks) % ranks, ranks));
  };
  // The segments that arrive in R - 1 steps, when the first is of chunk `index`.
  const auto arriving = [&](int index) {
    std::vector<Range> all;
    for (int step = 0; step < ranks - 1; ++step) {
      for (const Range& segment : chunk(index - step)) all.push_back(segment);
    }
    return all;
  };
  Messages sent;
  const auto send = [&](const Range& segment) {
    sent.add(transport.send(next, bytes_of(std::span<const float>(part(values, segment)))));
  };

  for (const Range& segment : chunk(rank)) send(segment);
  const std::vector<Range> partial = arriving(rank - 1);
  const size_t summed_on = partial.size() - chunk(rank + 1).size();  // all but the last step's, which is then complete
  receive_and_add(transport, previous, values, partial, [&](size_t i) {
    if (i < summed_on) send(partial[i]);
  });
  sent.wait();  // for these chunks are overwritten now

  for (const Range& segment : chunk(rank + 1)) send(segment);
  const std::vector<Range> complete = arriving(rank);
  const size_t passed_on = complete.size() - chunk(rank + 2).size();  // all but the last step's
  std::unique_ptr<Message> following;
  for (size_t i = 0; i < complete.size(); ++i) {
    const std::unique_ptr<Message> message =
        i == 0 ? transport.receive(previous, bytes_of(part(values, complete[0]))) : std::move(following);
    if (i + 1 < complete.size()) following = transport.receive(previous, bytes_of(part(values, complete[i + 1])));
    message->wait();
    if (i < passed_on) send(complete[i]);
  }
  sent.wait();
}

}  // namespace convoy
