// What a thread is working on: for which layer, in which part of a training step. It changes nothing; a profile reads it to
// tell whose time a kernel took.
//
//   const WorkScope scope(this);                              // a layer's forward
//   const WorkScope scope("optimizer", Work::Pass::update);   // what belongs to no layer
//
// A differentiable function remembers the work that it was called for, and its backward runs under that. A scope costs a
// few moves.
#pragma once

namespace convoy {

struct Work {
  enum class Pass { data, forward, backward, update };

  const void* layer = nullptr;  // the innermost module that runs; null: none
  const void* after = nullptr;  // the part of it that ran last; null: none yet
  const char* name = nullptr;   // of what belongs to no layer, a literal: "loss", "optimizer"
  Pass pass = Pass::forward;
};

// The calling thread's.
const Work& current_work();

// While one lives, the calling thread works on this. Scopes nest.
class WorkScope {
 public:
  explicit WorkScope(const void* layer);  // in the pass that goes on
  explicit WorkScope(const char* name);   // likewise; a literal
  WorkScope(const char* name, Work::Pass pass);
  explicit WorkScope(const Work& work);
  ~WorkScope();  // the enclosing layer, if there is one, now is behind this one
  WorkScope(const WorkScope&) = delete;
  WorkScope& operator=(const WorkScope&) = delete;

 private:
  const Work before_;
};

}  // namespace convoy
