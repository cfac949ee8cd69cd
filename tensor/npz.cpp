#include "tensor/npz.h"

#include <zlib.h>

#include <cstdint>
#include <limits>

#include "tensor/error.h"
#include "tensor/npy.h"

namespace convoy {
namespace {

void append(std::string& bytes, uint64_t value, int size) {  // little-endian
  for (int i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i));
}

// What the header in front of a file and its entry in the directory have in common.
std::string facts_of(const std::string& name, const std::string& content) {
  const uLong crc = crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size());
  constexpr uint64_t kVersion = 20, kFlags = 0, kStored = 0, kTime = 0, kFirstOfJanuary1980 = 0x21;
  std::string facts;
  for (const uint64_t field : {kVersion, kFlags, kStored, kTime, kFirstOfJanuary1980}) append(facts, field, 2);
  append(facts, crc, 4);
  append(facts, content.size(), 4);  // compressed
  append(facts, content.size(), 4);  // as it was
  append(facts, name.size(), 2);
  append(facts, 0, 2);  // extra field
  return facts;
}

}  // namespace

std::string npz_bytes(const std::map<std::string, Tensor>& tensors) {
  constexpr size_t kMostFiles = 0xFFFF, kMostBytes = 0xFFFFFFFF;
  CHECK(tensors.size() <= kMostFiles, "npz: {} tensors, at most {} fit an archive", tensors.size(), kMostFiles);
  std::string archive, directory;
  for (const auto& [key, tensor] : tensors) {
    const std::string name = key + ".npy", content = npy_bytes(tensor);
    CHECK(name.size() <= kMostFiles && archive.size() + content.size() <= kMostBytes - (1 << 24),
          "npz: {} does not fit, archives have at most 4 GiB", key);
    const size_t place = archive.size();
    const std::string facts = facts_of(name, content);
    archive += "PK\x03\x04" + facts + name + content;
    directory += "PK\x01\x02";
    append(directory, 20, 2);  // made by
    directory += facts;
    for (int i = 0; i < 10; ++i) directory += '\0';  // comment, disk, attributes
    append(directory, place, 4);
    directory += name;
  }
  const size_t place = archive.size();
  archive += directory + "PK\x05\x06";
  append(archive, 0, 4);  // disks
  append(archive, tensors.size(), 2);
  append(archive, tensors.size(), 2);
  append(archive, directory.size(), 4);
  append(archive, place, 4);
  append(archive, 0, 2);  // comment
  return archive;
}

}  // namespace convoy
