#include "parallel/agreement.h"

#include <unistd.h>

#include <algorithm>

namespace convoy {

std::vector<std::string> all_gather_text(Communicator& others, const std::string& mine) {
  const std::vector<int64_t> lengths = others.all_gather(static_cast<int64_t>(mine.size()));
  const size_t longest = static_cast<size_t>(*std::ranges::max_element(lengths));
  std::string padded = mine;
  padded.resize(longest);
  const std::vector<char> all = others.all_gather(std::span<const char>(padded));
  std::vector<std::string> texts;
  for (size_t rank = 0; rank < lengths.size(); ++rank)
    texts.emplace_back(all.data() + rank * longest, static_cast<size_t>(lengths[rank]));
  return texts;
}

void agree(Communicator* others, const std::function<void()>& work) {
  if (others == nullptr) return work();
  int32_t kind = 0;
  std::string message;
  try {
    work();
  } catch (const Error& error) {
    kind = static_cast<int32_t>(error.kind());
    message = others->rank() == 0 ? error.what()
                                  : fmt::format("rank {} on {}: {}", others->rank(), host_name(), error.what());
  }
  const std::vector<int32_t> kinds = others->all_gather(kind);
  const auto failed = std::ranges::find_if(kinds, [](int32_t each) { return each != 0; });
  if (failed == kinds.end()) return;
  const std::vector<std::string> messages = all_gather_text(*others, message);
  throw AgreedError(static_cast<ErrorKind>(*failed), messages[static_cast<size_t>(failed - kinds.begin())]);
}

void check_same(Communicator& others, const std::vector<std::pair<std::string, std::string>>& facts) {
  const std::vector<std::string> hosts = all_gather_text(others, host_name());
  for (const auto& [name, value] : facts) {
    const std::vector<std::string> values = all_gather_text(others, value);
    for (size_t rank = 1; rank < values.size(); ++rank) {
      if (values[rank] == values[0]) continue;
      throw AgreedError(ErrorKind::peer,
                        fmt::format("rank {} on {} has {} {}, rank 0 on {} has {}; start all ranks alike", rank,
                                    hosts[rank], name, values[rank], hosts[0], values[0]));
    }
  }
}

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "an unnamed host";
}

}  // namespace convoy
