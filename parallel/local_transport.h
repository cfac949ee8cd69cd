// A group of ranks that are threads of one process: a message is one copy from the sender's memory into the receiver's.
#pragma once

#include <memory>
#include <vector>

#include "parallel/transport.h"

namespace convoy {

// The ends of a new group of `size` ranks, one for each rank. They share the group and may outlive each other.
std::vector<std::unique_ptr<Transport>> make_local_group(int size);

}  // namespace convoy
