// A rank that is a process, for test_nccl_processes.cpp. It ends with 0 when all was right.
//   emulated_nccl_rank ID RANKS RANK [die]   ID: 256 hexadecimal digits, or `new`, which makes one and prints it
// With `die` it kills itself after one sum.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/cuda_emulation/nccl/exchange_test.h"

int main(int count, char** arguments) {
  using namespace convoy::emulation;
  if (count < 4) return 2;
  ncclUniqueId id;
  if (std::strcmp(arguments[1], "new") == 0) {
    if (ncclGetUniqueId(&id) != ncclSuccess) return 3;
    std::printf("%s\n", text_of(id).c_str());
    std::fflush(stdout);
  } else {
    id = id_of(arguments[1]);
  }
  ncclComm_t comm = nullptr;
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  const int ranks = std::atoi(arguments[2]), rank = std::atoi(arguments[3]);
  if (ncclCommInitRankConfig(&comm, ranks, id, rank, &config) != ncclSuccess) return 4;
  if (count > 4) {
    if (!sum_is_right(comm, ranks, rank, 1)) return 5;
    raise(SIGKILL);
  }
  if (!exchange_is_right(comm, ranks, rank)) return 5;
  return ncclCommDestroy(comm) == ncclSuccess ? 0 : 6;
}
