// The page cuda.h in a build without CUDA: no devices, and one clear message for who asks for one.
#include "tensor/cuda/cuda.h"
#include "tensor/error.h"

namespace convoy::cuda {
namespace {

[[noreturn]] void fail_no_cuda() { fail(ErrorKind::device, "cuda: {}; --device cpu trains without", unavailable()); }

}  // namespace

bool built() { return false; }
std::string unavailable() { return "this build has no CUDA (CMake found none, or CONVOY_CUDA is OFF)"; }
int device_count() { return 0; }
DeviceInfo device_info(int) { fail_no_cuda(); }
Stream make_stream(int) { fail_no_cuda(); }
void end_stream(const Stream&) { fail_no_cuda(); }
void synchronize(const Stream&) { fail_no_cuda(); }
std::byte* allocate(int, int64_t) { fail_no_cuda(); }
void release(int, std::byte*) { fail_no_cuda(); }
void copy(void*, Device, const void*, Device, int64_t) { fail_no_cuda(); }
void set_zero(void*, int, int64_t) { fail_no_cuda(); }
void enqueue_copy(const Stream&, void*, int, const void*, int64_t) { fail_no_cuda(); }
void connect(int, int) { fail_no_cuda(); }
Event::~Event() = default;
void Event::record(const Stream&) {}
void Event::hold_up(const Stream&) const {}
bool Event::passed() const { return true; }
Graph::Graph(const Stream&, const std::function<void()>&) { fail_no_cuda(); }
Graph::~Graph() = default;
void Graph::end() {}
void Graph::replay(const Stream&) { fail_no_cuda(); }
Readback::Readback(int device, int64_t bytes) : device_(device), bytes_(bytes) { fail_no_cuda(); }
Readback::~Readback() = default;
void Readback::start(const Stream&, const void*) { fail_no_cuda(); }
const std::byte* Readback::wait() { fail_no_cuda(); }
const Kernels& kernel_table() { fail_no_cuda(); }

}  // namespace convoy::cuda
