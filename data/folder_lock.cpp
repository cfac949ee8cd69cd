#include "data/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "tensor/error.h"

namespace convoy {

// A file of its own rather than the folder: over NFS only what is open for writing can be locked.
FolderLock::FolderLock(const std::filesystem::path& folder, const std::function<void()>& waiting,
                       const std::function<bool()>& going_on)
    : descriptor_(open((folder / ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0)
    fail(ErrorKind::io, "{}: cannot be written to: {}; choose another folder with --data DIR", folder.string(),
         std::strerror(errno));
  bool told = false;
  while (flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    // A file system without locks: sums still keep a bad file out.
    if (errno != EWOULDBLOCK && errno != EINTR) break;
    if (!told) waiting();
    told = true;
    if (!going_on()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  held_ = true;
}

FolderLock::~FolderLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace convoy
