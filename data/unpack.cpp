#include "data/unpack.h"

#include <algorithm>
#include <set>

#include "data/old_file.h"
#include "data/tar_reader.h"
#include "tensor/atomic_file.h"
#include "tensor/error.h"
#include "tensor/sha256.h"

namespace convoy {

void unpack(const std::filesystem::path& archive, std::span<const PublishedFile> contents,
            const std::filesystem::path& folder) {
  std::set<std::string> unpacked;
  TarReader reader(archive);
  while (const auto entry = reader.next()) {
    const std::string name = std::filesystem::path(entry->name).filename().string();
    const auto file = std::ranges::find(contents, name, &PublishedFile::name);
    if (file == contents.end()) continue;
    if (entry->bytes != file->bytes)
      fail(ErrorKind::data, "{}: {} has {} bytes, the official file {}", archive.string(), entry->name, entry->bytes,
           file->bytes);
    const std::vector<uint8_t> bytes = reader.read_content();
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (const std::string sum = sha256(text); sum != file->sha256)
      fail(ErrorKind::data, "{}: {} has SHA-256 {}, the official file {}", archive.string(), entry->name, sum,
           file->sha256);
    set_aside(folder / name);
    write_file_atomically(folder / name, text);
    unpacked.insert(name);
  }
  for (const PublishedFile& file : contents) {
    if (!unpacked.contains(file.name)) fail(ErrorKind::data, "{}: does not hold {}", archive.string(), file.name);
  }
}

}  // namespace convoy
