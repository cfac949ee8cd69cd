// What mpirun says on standard error: lines of the ranks, to be passed on, and banners about how a rank ended, to be
// understood. Open MPI's:
//
//   --------------------------------------------------------------------------
//   mpirun noticed that process rank 1 with PID 0 on node vm exited on signal 9 (Killed).
//   --------------------------------------------------------------------------
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace convoy {

struct FailedRank {
  int rank = 0;
  int signal = 0;     // that ended it; 0: it exited
  int exit_code = 0;  // otherwise
};

class MpirunOutput {
 public:
  // `pass_on` is given what is not mpirun's, as it comes.
  explicit MpirunOutput(std::function<void(std::string_view)> pass_on) : pass_on_(std::move(pass_on)) {}

  void add(std::string_view bytes);
  void finish();  // there is no more

  std::optional<FailedRank> failed_rank() const { return failed_; }
  bool rank_told() const { return rank_told_; }  // a rank has printed "convoy: …", its error

 private:
  void line(const std::string& text);  // with its newline, if it has one
  void understand(const std::string& text);

  std::function<void(std::string_view)> pass_on_;
  std::string begun_;  // a line not yet complete
  bool in_banner_ = false, rank_told_ = false;
  std::optional<FailedRank> failed_;
  std::optional<int> named_;  // a rank whose exit code is still to come
};

}  // namespace convoy
