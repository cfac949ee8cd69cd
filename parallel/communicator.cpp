#include "parallel/communicator.h"

namespace convoy {

// Bruck's algorithm, log2 R messages: in each round a rank passes on all it has, and so doubles it. Blocks are kept in
// the order of ranks beginning with its own.
std::vector<std::byte> Communicator::all_gather_bytes(std::span<const std::byte> mine) {
  const size_t block = mine.size(), ranks = static_cast<size_t>(size()), me = static_cast<size_t>(rank());
  std::vector<std::byte> blocks(block * ranks), ordered(block * ranks);
  std::copy(mine.begin(), mine.end(), blocks.begin());
  for (size_t distance = 1; distance < ranks; distance *= 2) {
    const size_t count = std::min(distance, ranks - distance) * block;
    const int to = static_cast<int>((me + ranks - distance) % ranks), from = static_cast<int>((me + distance) % ranks);
    const auto sent = small_->send(to, std::span<const std::byte>(blocks).first(count));
    const auto received = small_->receive(from, std::span(blocks).subspan(distance * block, count));
    received->wait();
    sent->wait();
  }
  std::rotate_copy(blocks.begin(), blocks.end() - static_cast<ptrdiff_t>(me * block), blocks.end(), ordered.begin());
  return ordered;
}

// A binomial tree: in the round of `distance`, ranks below it, which have the data, send to those `distance` further.
void Communicator::broadcast(std::span<std::byte> data) {
  for (int distance = 1; distance < size(); distance *= 2) {
    if (rank() < distance && rank() + distance < size()) small_->send(rank() + distance, data)->wait();
    if (distance <= rank() && rank() < 2 * distance) small_->receive(rank() - distance, data)->wait();
  }
}

void Communicator::abort() {
  small_->abort();
  if (sums_ != nullptr) sums_->abort();
}

}  // namespace convoy
