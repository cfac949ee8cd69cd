// Tar archives, plain, with the checksums of their headers put right so that damage gets past them, and gzip: listed,
// unpacked, and as CIFAR-10's. What is unpacked is the published file.
#include <array>
#include <numeric>

#include "data/cifar10.h"
#include "data/tar_reader.h"
#include "data/unpack.h"
#include "tests/fuzz/input_file.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/targets.h"

namespace convoy::fuzz {
namespace {

// In every block that says it is a header: "ustar" at byte 257, the sum of all bytes at 148, its own eight counted as
// spaces.
std::string with_checksums(std::string_view input) {
  constexpr size_t kBlock = 512, kSum = 148, kSumBytes = 8, kMagic = 257;
  std::string bytes(input);
  for (size_t at = 0; at + kBlock <= bytes.size(); at += kBlock) {
    if (bytes.compare(at + kMagic, 5, "ustar") != 0) continue;
    bytes.replace(at + kSum, kSumBytes, kSumBytes, ' ');
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    const int sum = std::accumulate(begin, begin + kBlock, 0,
                                    [](int before, char byte) { return before + static_cast<unsigned char>(byte); });
    bytes.replace(at + kSum, 7, fmt::format("{:06o}{}", sum, '\0'));
  }
  return bytes;
}

void list(const std::filesystem::path& archive) {
  TarReader reader(archive);
  bool read = true;  // every other entry; the rest are passed over
  for (; const auto entry = reader.next(); read = !read) {
    require(entry->bytes >= 0, "no size is negative");
    if (read)
      require(static_cast<int64_t>(reader.read_content().size()) == entry->bytes, "an entry's content has its size");
  }
}

}  // namespace

void fuzz_tar(std::string_view input) {
  const std::filesystem::path archive = write_input("archive.tar", with_checksums(input));
  list(archive);
  // Either may refuse what the other one takes.
  try {
    const DatasetSplits splits = load_cifar10(archive);
    require(splits.train.labels.count() > 0 && splits.test.labels.count() > 0, "no split is empty");
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::data, "an archive without CIFAR-10 is bad data");
  }
  const std::array contents{PublishedFile{
      .name = "abc.txt", .bytes = 3, .sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}};
  const std::filesystem::path folder = input_folder() / "unpacked";
  std::filesystem::create_directories(folder);
  unpack(archive, contents, folder);
  require(read_output(folder / "abc.txt") == "abc", "what is unpacked is the published file");
  std::filesystem::remove_all(folder);
}

}  // namespace convoy::fuzz
