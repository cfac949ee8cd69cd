// IDX, the file format of MNIST: a big-endian header (two zero bytes, the element type 8 = unsigned byte, the
// number of axes, one 32-bit extent per axis), then the elements in row-major order.
// http://yann.lecun.com/exdb/mnist
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace convoy {

struct IdxArray {
  std::vector<int64_t> extents;
  std::vector<uint8_t> values;  // the product of the extents
};

// Reads an array of unsigned bytes with `axes` axes, plain or gzip. Throws Error(data) when the header is not
// that, an extent is 0, or the file holds fewer or more values than the header says.
IdxArray read_idx(const std::filesystem::path& path, int axes);

}  // namespace convoy
