// A folder for what is only there to be read again; gone at the end.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tensor/error.h"

namespace convoy {

class ScratchFolder {
 public:
  // In the system's folder for such. Throws Error(io).
  ScratchFolder() {
    std::error_code none;
    std::string name = (std::filesystem::temp_directory_path(none) / "convoy-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) fail(ErrorKind::io, "{}: cannot create the folder", name);
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace convoy
