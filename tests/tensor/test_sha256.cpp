// The examples of FIPS 180-4, and lengths around the ends of blocks.
#include <gtest/gtest.h>

#include "tensor/error.h"
#include "tensor/sha256.h"

namespace convoy {
namespace {

TEST(sha256, gives_the_published_digests) {
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256(std::string(1'000'000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(sha256, pads_lengths_around_a_block) {
  EXPECT_EQ(sha256(std::string(55, 'a')), "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
  EXPECT_EQ(sha256(std::string(56, 'a')), "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a");
  EXPECT_EQ(sha256(std::string(64, 'a')), "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
}

TEST(sha256, pieces_add_up_wherever_they_are_cut) {
  const std::string bytes(200, 'a');
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    Sha256 sum;
    sum.add(std::string_view(bytes).substr(0, cut));
    sum.add(std::string_view(bytes).substr(cut));
    ASSERT_EQ(sum.digest(), sha256(bytes)) << cut;
    ASSERT_EQ(sum.digest(), sha256(bytes)) << "asked twice, after " << cut;
  }
}

TEST(sha256, a_file_that_is_not_there_is_told) { EXPECT_THROW(sha256_of_file("nowhere"), Error); }

}  // namespace
}  // namespace convoy
