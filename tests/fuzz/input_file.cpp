#include "tests/fuzz/input_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "tests/fuzz/target.h"

namespace convoy::fuzz {
namespace {

namespace fs = std::filesystem;

struct Folder {
  Folder() : path((fs::temp_directory_path() / "convoy_fuzz_XXXXXX").string()) {
    std::string name = path.string();
    require(mkdtemp(name.data()) != nullptr, "a folder can be made in $TMPDIR");
    path = name;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  fs::path path;
};

}  // namespace

const fs::path& input_folder() {
  static const Folder folder;
  return folder.path;
}

fs::path write_input(const std::string& name, std::string_view bytes) {
  const fs::path path = input_folder() / name;
  int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) {
    fs::create_directories(path.parent_path());
    file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  }
  const ssize_t written = write(file, bytes.data(), bytes.size());
  require(close(file) == 0 && written == static_cast<ssize_t>(bytes.size()), "the input can be written to $TMPDIR");
  return path;
}

std::string read_output(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace convoy::fuzz
