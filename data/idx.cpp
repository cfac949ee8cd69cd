#include "data/idx.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <string>

#include "data/gzip_reader.h"
#include "tensor/error.h"

namespace convoy {
namespace {

constexpr int64_t kMaxBytes = int64_t{1} << 33;  // 8 GiB: far more than fits the use, far less than overflows

uint32_t big_endian(const uint8_t* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

}  // namespace

IdxArray read_idx(const std::filesystem::path& path, int axes) {
  GzipReader reader(path);
  const int64_t header_bytes = 4 + 4 * axes;
  const std::vector<uint8_t> header = reader.read_up_to(header_bytes);
  const std::string file = path.string();
  const int64_t got = static_cast<int64_t>(header.size());
  if (got == 0) fail(ErrorKind::data, "{}: the file is empty", file);
  if (got < 4) fail(ErrorKind::data, "{}: truncated, {} of the {} header bytes", file, got, header_bytes);
  const uint32_t magic = big_endian(header.data()), expected_magic = 0x800u + static_cast<uint32_t>(axes);
  if (magic != expected_magic) {
    fail(ErrorKind::data, "{}: magic number 0x{:08x}, expected 0x{:08x} (IDX, unsigned bytes, {} axes)", file, magic,
         expected_magic, axes);
  }
  if (got < header_bytes) fail(ErrorKind::data, "{}: truncated, {} of the {} header bytes", file, got, header_bytes);

  IdxArray array;
  int64_t count = 1;
  bool too_large = false;
  for (int axis = 0; axis < axes; ++axis) {
    const int64_t extent = big_endian(header.data() + 4 + 4 * axis);
    array.extents.push_back(extent);
    too_large = too_large || extent > kMaxBytes / std::max<int64_t>(count, 1);
    if (!too_large) count *= extent;
  }
  const std::string declared = fmt::format("{}", fmt::join(array.extents, " x "));
  if (count == 0) fail(ErrorKind::data, "{}: the header declares {} values: nothing to read", file, declared);
  if (too_large) fail(ErrorKind::data, "{}: the header declares {} values, more than {}", file, declared, kMaxBytes);

  array.values = reader.read_up_to(count + 1);
  const int64_t have = static_cast<int64_t>(array.values.size());
  if (have < count) {
    fail(ErrorKind::data, "{}: truncated, the header declares {} = {} values and {} are there; get the file again",
         file, declared, count, have);
  }
  if (have > count)
    fail(ErrorKind::data, "{}: more bytes follow the {} = {} values that the header declares", file, declared, count);
  return array;
}

}  // namespace convoy
