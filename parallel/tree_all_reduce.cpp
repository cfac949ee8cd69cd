#include "parallel/tree_all_reduce.h"

#include <bit>

#include "parallel/segments.h"

namespace convoy {
namespace {

void send(Transport& transport, int to, std::span<float> values, Range range, Messages& sent) {
  for (const Range& segment : segments(range))
    sent.add(transport.send(to, bytes_of(std::span<const float>(part(values, segment)))));
}

void receive(Transport& transport, int from, std::span<float> values, Range range) {
  Messages received;
  for (const Range& segment : segments(range)) received.add(transport.receive(from, bytes_of(part(values, segment))));
  received.wait();
}

void receive_and_add(Transport& transport, int from, std::span<float> values, Range range) {
  receive_and_add(transport, from, values, segments(range), [](size_t) {});
}

// Ranks 0 … ranks-1, a power of two. Level by level, neighbours first: a rank keeps one half of what it has, adds the
// partner's to it and gives the other half away; then back, the halves complete.
void halve_and_double(Transport& transport, int ranks, std::span<float> values) {
  const int rank = transport.rank();
  std::vector<Range> kept{{0, static_cast<int64_t>(values.size())}};
  Messages sent;
  for (int distance = 1; distance < ranks; distance *= 2) {
    const Range all = kept.back();
    const int half = (rank & distance) != 0;
    const Range mine = cut(all.size(), half, 2) + all.begin, theirs = cut(all.size(), 1 - half, 2) + all.begin;
    send(transport, rank ^ distance, values, theirs, sent);
    receive_and_add(transport, rank ^ distance, values, mine);
    kept.push_back(mine);
  }
  sent.wait();  // for the halves given away are overwritten now
  for (int distance = ranks / 2; distance >= 1; distance /= 2) {
    const Range mine = kept.back();
    kept.pop_back();
    const Range all = kept.back();
    const Range theirs = mine.begin == all.begin ? Range{mine.end, all.end} : Range{all.begin, mine.begin};
    send(transport, rank ^ distance, values, mine, sent);
    receive(transport, rank ^ distance, values, theirs);
  }
  sent.wait();
}

}  // namespace

void tree_all_reduce(Transport& transport, std::span<float> values) {
  const int rank = transport.rank();
  const int ranks = static_cast<int>(std::bit_floor(static_cast<unsigned>(transport.size())));
  const int surplus = transport.size() - ranks;  // that many ranks have no place in a full tree
  const Range all{0, static_cast<int64_t>(values.size())};
  Messages sent;
  if (rank >= ranks) {
    send(transport, rank - ranks, values, all, sent);
    sent.wait();
    return receive(transport, rank - ranks, values, all);
  }
  if (rank < surplus) receive_and_add(transport, rank + ranks, values, all);
  halve_and_double(transport, ranks, values);
  if (rank < surplus) send(transport, rank + ranks, values, all, sent);
  sent.wait();
}

}  // namespace convoy
