// Keeps two processes from filling the same folder at once.
#pragma once

#include <filesystem>
#include <functional>

namespace convoy {

class FolderLock {
 public:
  // Locks `folder`, which exists, by flock(2) on a file `.lock` in it, which stays there: to remove it would let a
  // third process in beside one that waits for it. While another holds the lock, calls `waiting` once and then
  // `going_on` five times a second; held() is false when that said no. Throws Error(io) when the folder cannot be
  // written to.
  FolderLock(const std::filesystem::path& folder, const std::function<void()>& waiting,
             const std::function<bool()>& going_on);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  bool held() const { return held_; }

 private:
  int descriptor_ = -1;
  bool held_ = false;
};

}  // namespace convoy
