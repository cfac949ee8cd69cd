#include "data/part_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "data/old_file.h"
#include "tensor/atomic_file.h"
#include "tensor/error.h"
#include "tensor/sha256.h"

namespace convoy {

PartFile::PartFile(std::filesystem::path target)
    : target_(std::move(target)), path_(target_.string() + ".part"), source_(path_.string() + ".source") {
  descriptor_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  struct stat state = {};
  if (descriptor_ < 0 || fstat(descriptor_, &state) != 0) fail_to_write(errno);
  bytes_ = state.st_size;
}

PartFile::~PartFile() {
  close(descriptor_);
  if (bytes_ > 0) return;
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
  std::filesystem::remove(source_, ignored);
}

void PartFile::fail_to_write(int error) const {
  const bool full = error == ENOSPC || error == EDQUOT;
  fail(ErrorKind::io, "{}: cannot be written: {}; {}", path_.string(), std::strerror(error),
       full ? "free some space and fetch again, which goes on from here, or choose another folder with --data DIR"
            : "choose another folder with --data DIR");
}

void PartFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_to_write(errno);
    bytes.remove_prefix(static_cast<size_t>(written));
    bytes_ += written;
  }
}

void PartFile::restart() {
  if (ftruncate(descriptor_, 0) != 0) fail_to_write(errno);
  bytes_ = 0;
  std::error_code ignored;
  std::filesystem::remove(source_, ignored);
}

std::string PartFile::sha256() const { return sha256_of_file(path_); }

void PartFile::set_source(const std::string& url, const std::string& validator) {
  if (!validator.empty() && validator_of(url) == validator) return;
  write_file_atomically(source_, url + "\n" + validator + "\n");
}

std::string PartFile::validator_of(const std::string& url) const {
  std::ifstream file(source_);
  std::string source, validator;
  std::getline(file, source);
  std::getline(file, validator);
  return source == url ? validator : "";
}

void PartFile::finish() {
  if (fsync(descriptor_) != 0) fail_to_write(errno);
  set_aside(target_);
  if (rename(path_.c_str(), target_.c_str()) != 0) fail_to_write(errno);
  bytes_ = 0;
  std::error_code ignored;
  std::filesystem::remove(source_, ignored);
  sync_folder(target_.parent_path());
}

}  // namespace convoy
