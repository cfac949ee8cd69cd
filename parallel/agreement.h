// How ranks find out that they do not agree, before that makes them wait for each other for ever.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "parallel/communicator.h"
#include "tensor/error.h"

namespace convoy {

// An error that all ranks throw alike, so that one of them can tell it for all.
class AgreedError : public Error {
 public:
  using Error::Error;
};

// Everybody's text, in the order of ranks. Collective.
std::vector<std::string> all_gather_text(Communicator& others, const std::string& mine);

// Runs `work`. When it throws an Error on any rank, all ranks throw an AgreedError with the message of the first of these,
// which begins with "rank N on <host>: " unless that is rank 0. Collective; `others` may be null: just runs it.
void agree(Communicator* others, const std::function<void()>& work);

// Throws AgreedError(peer) unless all ranks have the same facts as rank 0: names and values, "--seed" and "7", the same
// names in the same order. Collective.
void check_same(Communicator& others, const std::vector<std::pair<std::string, std::string>>& facts);

std::string host_name();

}  // namespace convoy
