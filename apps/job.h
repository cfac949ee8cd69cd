// A training as one of several ranks: joining, agreeing, and ending together.
//
//   Job job(settings);
//   return job.run([&] {
//     job.check_same_settings(settings);
//     return train(..., job.others());
//   });
//
// The others are processes that mpirun or srun has started, or that were each started with RANK and WORLD_SIZE and meet
// over TCP (job_environment.h). Errors that all ranks throw alike (AgreedError) are told by rank 0. An error of one
// rank alone is told by that rank, which then ends all others.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "apps/job_records.h"
#include "apps/settings.h"
#include "parallel/communicator.h"
#include "parallel/layout.h"
#include "parallel/mpi.h"
#include "parallel/rendezvous.h"

namespace convoy {

class Job {
 public:
  // Alone for settings of one rank; else joins the ranks that were started with this one.
  explicit Job(const Settings& settings);

  Layout layout() const { return layout_; }
  Communicator* others() { return communicator_.get(); }  // null when alone
  bool first() const { return layout_.rank == 0; }        // the one that prints and writes files

  bool joined_by_mpi() const { return mpi_ != nullptr; }  // whose way of ending jobs is then ours

  // Returns the exit code, of `work` or of its error. Throws errors that main() is to tell.
  int run(const std::function<int()>& work);

  // Throws AgreedError(peer), which names the rank and the difference, unless all ranks are of the same build and were
  // started with the same settings.
  void check_same_settings(const Settings& settings);

  // Leaves word for the launcher, should this rank die; and for the line that tells of another's death.
  void note_step(int64_t step);

 private:
  int end_all(int exit_code, const char* message);
  std::string loss() const;

  Layout layout_;
  int64_t last_step_ = 0;
  std::unique_ptr<SignsOfLife>
      life_;  // null when alone; outlives the session, which waits for rank 0's last deeds as it ends
  std::unique_ptr<mpi::Session> mpi_;  // one of these two, or none when alone
  std::unique_ptr<tcp::Session> tcp_;
  std::unique_ptr<Communicator> communicator_;
};

}  // namespace convoy
