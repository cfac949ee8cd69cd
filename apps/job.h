// A training as one of several ranks: joining, agreeing, and ending together.
//
//   Job job(settings);
//   return job.run([&] {
//     job.check_same_settings(settings);
//     return train(..., job.others());
//   });
//
// Errors that all ranks throw alike (AgreedError) are told by rank 0. An error of one rank alone is told by that rank,
// which then ends all others.
#pragma once

#include <functional>
#include <memory>

#include "apps/job_records.h"
#include "apps/settings.h"
#include "parallel/communicator.h"
#include "parallel/layout.h"
#include "parallel/mpi.h"

namespace convoy {

class Job {
 public:
  // Alone for settings of one rank; else joins the ranks that were started with this one.
  explicit Job(const Settings& settings);

  Layout layout() const { return layout_; }
  Communicator* others() { return communicator_.get(); }  // null when alone
  bool first() const { return layout_.rank == 0; }        // the one that prints and writes files

  // Returns the exit code, of `work` or of its error. Throws errors that main() is to tell.
  int run(const std::function<int()>& work);

  // Throws AgreedError(peer), which names the rank and the difference, unless all ranks are of the same build and were
  // started with the same settings.
  void check_same_settings(const Settings& settings);

  // Leaves word for the launcher, should this rank die.
  void note_step(int64_t step);

 private:
  Layout layout_;
  std::unique_ptr<mpi::Session> session_;
  std::unique_ptr<SignsOfLife> life_;  // null when alone
  std::unique_ptr<Communicator> communicator_;
};

}  // namespace convoy
