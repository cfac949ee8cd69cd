#include "tensor/device.h"

#include <cstdlib>
#include <thread>

#include "tensor/cores.h"
#include "tensor/error.h"

namespace convoy {
namespace {

int default_threads() {
  if (const char* text = std::getenv("OMP_NUM_THREADS")) {
    const int threads = std::atoi(text);
    if (threads > 0) return threads;
  }
  return available_cores();
}

const std::thread::id main_thread = std::this_thread::get_id();

Stream& thread_stream() {
  thread_local Stream stream{.threads = std::this_thread::get_id() == main_thread ? default_threads() : 1};
  return stream;
}

}  // namespace

const Stream& current_stream() { return thread_stream(); }

void set_current_stream(const Stream& stream) {
  CHECK(stream.threads >= 1, "stream: {} threads, at least 1 is needed", stream.threads);
  thread_stream() = stream;
}

}  // namespace convoy
