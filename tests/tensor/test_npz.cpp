// Archives as numpy reads them.
#include "tensor/npz.h"

#include <gtest/gtest.h>

#include "tensor/npy.h"
#include "tests/tensor/error_message.h"

namespace convoy {
namespace {

using namespace std::string_literals;

// Expected: what Python's zipfile writes for the same files, but for the permissions that it adds.
TEST(Npz, bytes_are_those_of_pythons_zipfile) {
  const Tensor bias = Tensor::from(std::vector<float>{1, -2}, {2}), one = Tensor::full({}, 0.5f);
  const std::string headers[] = {
      "PK\x03\x04\x14\x00\x00\x00\x00\x00\x00\x00!\x00\\\xd9L\xee\x88\x00\x00\x00\x88\x00\x00\x00\x0b\x00\x00\x00"
      "fc.bias.npy"s,
      "PK\x03\x04\x14\x00\x00\x00\x00\x00\x00\x00!\x00k\xc4\x1c\x96\x84\x00\x00\x00\x84\x00\x00\x00\x07\x00\x00\x00"
      "one.npy"s};
  const std::string directory =
      "PK\x01\x02\x14\x00\x14\x00\x00\x00\x00\x00\x00\x00!\x00\\\xd9L\xee\x88\x00\x00\x00\x88\x00\x00\x00\x0b\x00\x00"
      "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
      "fc.bias.npy"
      "PK\x01\x02\x14\x00\x14\x00\x00\x00\x00\x00\x00\x00!\x00k\xc4\x1c\x96\x84\x00\x00\x00\x84\x00\x00\x00\x07\x00\x00"
      "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xb1\x00\x00\x00"
      "one.npy"
      "PK\x05\x06\x00\x00\x00\x00\x02\x00\x02\x00n\x00\x00\x00Z\x01\x00\x00\x00\x00"s;
  EXPECT_EQ(npz_bytes({{"fc.bias", bias}, {"one", one}}),
            headers[0] + npy_bytes(bias) + headers[1] + npy_bytes(one) + directory);
}

TEST(Npz, an_archive_may_be_empty) { EXPECT_EQ(npz_bytes({}), "PK\x05\x06"s + std::string(18, '\0')); }

TEST(Npz, types_that_numpy_lacks_are_refused) {
  EXPECT_STREQ(error_of([] {
                 npz_bytes({{"x", Tensor::empty({1}, DType::bf16, Device{})}});
               }).what(),
               "npy: numpy has no type for a tensor of bf16");
}

}  // namespace
}  // namespace convoy
