// Linked instead of mpi.cpp in a build without MPI.
#include <cstdlib>

#include "parallel/mpi.h"
#include "tensor/error.h"

namespace convoy::mpi {
namespace {

constexpr const char* kNone =
    "this build has no MPI; install libopenmpi-dev and openmpi-bin, then build again with CONVOY_MPI=ON";

[[noreturn]] void refuse() { fail(ErrorKind::usage, "mpi: {}", kNone); }

}  // namespace

bool built() { return false; }
std::string library() { return kNone; }
Session::Session() { refuse(); }
Session::~Session() = default;
std::unique_ptr<Transport> Session::open_transport() { refuse(); }
void Session::abort(int exit_code) { std::_Exit(exit_code); }
void all_reduce(Transport&, std::span<float>) { refuse(); }

}  // namespace convoy::mpi
