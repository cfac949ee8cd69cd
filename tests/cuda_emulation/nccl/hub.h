// Where the ranks of one communicator meet: a thread that carries out their operations.
#pragma once

#include <string>

namespace convoy::emulation::nccl {

// Starts the thread, which ends when all ranks that came have left. "" where there is no socket for it.
//
// Collectives meet by their number, sends and receives by their order from one rank to another. A rank that leaves is not
// missed: what it has asked for is still done, what it has not asked for never happens. When ranks ask for things that do
// not fit together, that goes to stderr and all are refused.
std::string start_hub();
bool names_hub(const std::string& address);  // whether it looks like one

}  // namespace convoy::emulation::nccl
