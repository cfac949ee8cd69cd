// Event files byte by byte: records as tensorboard 2.21 writes them.
#include "apps/event_file.h"

#include <gtest/gtest.h>

namespace convoy {
namespace {

std::string bytes_of(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return bytes;
}

TEST(event_file, records_are_those_of_tensorboard) {
  EXPECT_EQ(event_file_head(1.5),
            bytes_of("1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c"));
  EXPECT_EQ(
      scalars_record(1764000000.25, 300, {{"loss/train", 0.5f}, {"lr", 0.001f}}),
      bytes_of("2c00000000000000f4aecc4509000010402049da4110ac022a1e0a110a0a6c6f73732f747261696e150000003f0a090a02"
               "6c72156f12833a9bcb3c23"));
}

TEST(event_file, times_are_found_again_up_to_what_is_damaged) {
  const std::string first = event_file_head(1.5), second = scalars_record(2.5, 1, {{"lr", 1}}),
                    third = scalars_record(3.5, 2, {{"lr", 1}});
  const std::string file = first + second + third;
  EXPECT_EQ(times_of_records(file), (std::vector<double>{1.5, 2.5, 3.5}));
  EXPECT_EQ(times_of_records(""), std::vector<double>{});
  for (size_t size = first.size() + second.size(); size < file.size(); ++size)
    EXPECT_EQ(times_of_records(file.substr(0, size)), (std::vector<double>{1.5, 2.5})) << size;
  for (size_t at = first.size(); at < first.size() + second.size(); ++at) {
    std::string damaged = file;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    EXPECT_EQ(times_of_records(damaged), std::vector<double>{1.5}) << at;
  }
}

TEST(event_file, names_are_what_tensorboard_looks_for) {
  const std::string name = event_file_name(1764000000.25);
  EXPECT_TRUE(name.starts_with("events.out.tfevents.1764000000.")) << name;
  EXPECT_GT(name.size(), std::string("events.out.tfevents.1764000000.").size());
}

}  // namespace
}  // namespace convoy
