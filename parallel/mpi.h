// What Convoy needs of MPI: ranks that are processes, on one host or several. A build without MPI links no_mpi.cpp, whose
// Session cannot be made.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "parallel/transport.h"

namespace convoy::mpi {

bool built();
std::string library();  // "Open MPI v4.1.4, …", or why there is none

// This process as a rank of the job that mpirun or srun started it for. At most one in a process, ever.
class Session {
 public:
  // Throws Error(usage) in a build without MPI, Error(peer) when the library offers no threads.
  Session();
  // Leaves the job; all ranks have to. A rank that cannot go on calls abort() instead.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }

  // A transport among all ranks, apart from every other. Collective. Used while the session lives.
  std::unique_ptr<Transport> open_transport();

  // Ends all ranks and this process, with this exit code, from any thread.
  [[noreturn]] static void abort(int exit_code);

 private:
  int rank_ = 0, size_ = 1;
};

// values [n] = the sum over all ranks, by the library's own algorithm, on a transport of open_transport().
void all_reduce(Transport& transport, std::span<float> values);

}  // namespace convoy::mpi
