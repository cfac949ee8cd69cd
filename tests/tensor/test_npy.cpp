// Arrays as numpy reads them.
#include "tensor/npy.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "tests/tensor/error_message.h"

namespace convoy {
namespace {

// What numpy 1.26 writes for np.array([[0, 1, 2], [3, 4, 5]], np.float32), without the data.
constexpr char kHeader[] =
    "\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
    "                                                          \n";

TEST(Npy, bytes_are_those_of_numpy) {
  Tensor tensor = Tensor::empty({2, 3}, DType::f32, Device{});
  for (int i = 0; i < 6; ++i) tensor.data<float>()[i] = static_cast<float>(i);
  std::string expected(kHeader, sizeof kHeader - 1);
  ASSERT_EQ(expected.size(), 128u);
  expected.append(reinterpret_cast<const char*>(tensor.raw()), 24);
  // numpy writes (2, 3), we write (2, 3, ), which reads the same and stands for one extent, too.
  std::string bytes = npy_bytes(tensor);
  const size_t at = bytes.find("(2, 3, )");
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, 8, "(2, 3)");
  bytes.insert(bytes.find('\n'), "  ");
  EXPECT_EQ(bytes, expected);
}

TEST(Npy, data_begins_at_a_multiple_of_64_bytes_for_every_shape_and_type) {
  for (const Shape& shape : {Shape{}, Shape{0}, Shape{7}, Shape{1, 2, 3, 4, 5, 6}, Shape{1'000'000, 0, 123'456}}) {
    for (const DType type : {DType::f32, DType::i32, DType::u8}) {
      const Tensor tensor = Tensor::empty(shape, type, Device{});
      const std::string bytes = npy_bytes(tensor);
      const size_t header = static_cast<unsigned char>(bytes[8]) + 256u * static_cast<unsigned char>(bytes[9]);
      EXPECT_EQ((10 + header) % 64, 0u);
      EXPECT_EQ(bytes.size(), 10 + header + static_cast<size_t>(tensor.bytes()));
      EXPECT_EQ(bytes[10 + header - 1], '\n');
    }
  }
}

TEST(Npy, types_that_numpy_lacks_are_refused) {
  EXPECT_STREQ(error_of([] { npy_bytes(Tensor::empty({1}, DType::bf16, Device{})); }).what(),
               "npy: numpy has no type for a tensor of bf16");
}

}  // namespace
}  // namespace convoy
