// Linked instead of download.cpp in a build without libcurl.
#include "data/download.h"
#include "tensor/error.h"

namespace convoy::download {
namespace {

constexpr const char* kNone =
    "this build has no libcurl and cannot download; install libcurl4-openssl-dev, then build again with "
    "-DCONVOY_CURL=ON";

}  // namespace

bool built() { return false; }
std::string library() { return kNone; }
bool get(const Request&, const Receiver&) { fail(ErrorKind::usage, "download: {}", kNone); }

}  // namespace convoy::download
