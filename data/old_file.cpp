#include "data/old_file.h"

#include "tensor/error.h"

namespace convoy {

void set_aside(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return;
  std::filesystem::rename(path, path.string() + ".old", error);
  if (error) fail(ErrorKind::io, "{}: cannot be renamed to make way: {}", path.string(), error.message());
}

}  // namespace convoy
