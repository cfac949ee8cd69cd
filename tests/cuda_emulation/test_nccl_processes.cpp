// The emulated NCCL between processes: this one, and others that run emulated_nccl_rank.
#include <spawn.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdio>

#include "tests/cuda_emulation/nccl/exchange_test.h"
#include "tests/cuda_emulation/nccl/nccl_test.h"

namespace convoy::emulation {
namespace {

using NcclProcesses = OnRanks;

pid_t start_rank(const ncclUniqueId& id, int ranks, int rank, const char* then = nullptr) {
  const std::string words[] = {EMULATED_NCCL_RANK, text_of(id), std::to_string(ranks), std::to_string(rank)};
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  if (then != nullptr) arguments.push_back(const_cast<char*>(then));
  arguments.push_back(nullptr);
  pid_t process = -1;
  EXPECT_EQ(posix_spawn(&process, arguments[0], nullptr, nullptr, arguments.data(), environ), 0);
  return process;
}

int end_of(pid_t process) {
  int status = -1;
  EXPECT_EQ(waitpid(process, &status, 0), process);
  return status;
}

TEST_F(NcclProcesses, processes_are_ranks) {
  for (const int ranks : {2, 4}) {
    const ncclUniqueId id = new_id();
    std::vector<pid_t> others;
    for (int rank = 1; rank < ranks; ++rank) others.push_back(start_rank(id, ranks, rank));
    ncclComm_t comm = nullptr;
    ASSERT_EQ(join(&comm, ranks, id, 0), ncclSuccess);
    EXPECT_TRUE(exchange_is_right(comm, ranks, 0));
    EXPECT_EQ(ncclCommDestroy(comm), ncclSuccess);
    for (const pid_t other : others) EXPECT_EQ(end_of(other), 0);
  }
}

// The hub goes on here, for ranks that are all elsewhere.
TEST_F(NcclProcesses, who_makes_the_id_need_not_be_a_rank) {
  const ncclUniqueId id = new_id();
  const pid_t first = start_rank(id, 2, 0), second = start_rank(id, 2, 1);
  EXPECT_EQ(end_of(first), 0);
  EXPECT_EQ(end_of(second), 0);
}

// The other rank has one sum with this one and dies then. Nothing tells this rank.
void expect_to_hang_until_the_abort(ncclComm_t comm, const std::function<void()>& wait_for_its_death) {
  const DeviceArray<float> x(std::vector<float>(4, 1.0f));
  EXPECT_EQ(ncclAllReduce(x.data(), x.data(), 1, ncclFloat, ncclSum, comm, nullptr), ncclSuccess);
  wait_for_its_death();
  EXPECT_EQ(ncclAllReduce(x.data(), x.data(), 4, ncclFloat, ncclSum, comm, nullptr), ncclSuccess);
  EXPECT_TRUE(stands_still(nullptr));
  ncclResult_t state = ncclInternalError;
  EXPECT_EQ(ncclCommGetAsyncError(comm, &state), ncclSuccess);
  EXPECT_EQ(state, ncclSuccess);
  EXPECT_EQ(ncclCommAbort(comm), ncclSuccess);
  EXPECT_TRUE(goes_on(nullptr));
}

TEST_F(NcclProcesses, a_killed_process_makes_the_others_hang) {
  const ncclUniqueId id = new_id();
  const pid_t other = start_rank(id, 2, 1, "die");
  ncclComm_t comm = nullptr;
  ASSERT_EQ(join(&comm, 2, id, 0), ncclSuccess);
  expect_to_hang_until_the_abort(comm, [&] { EXPECT_EQ(WTERMSIG(end_of(other)), SIGKILL); });
}

TEST_F(NcclProcesses, the_death_of_the_process_that_made_the_id_makes_the_others_hang) {
  FILE* const other = popen("'" EMULATED_NCCL_RANK "' new 2 0 die 2>&1", "r");
  ASSERT_NE(other, nullptr);
  char line[2 * NCCL_UNIQUE_ID_BYTES + 1] = {};
  ASSERT_NE(std::fgets(line, sizeof line, other), nullptr);
  ncclComm_t comm = nullptr;
  ASSERT_EQ(join(&comm, 2, id_of(line), 1), ncclSuccess);
  expect_to_hang_until_the_abort(comm, [&] { EXPECT_NE(pclose(other), 0); });
}

}  // namespace
}  // namespace convoy::emulation
