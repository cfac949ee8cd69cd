// Tar archives, plain and gzip: listed, unpacked, and as CIFAR-10's. What is unpacked is the published file.
#include <array>

#include "data/cifar10.h"
#include "data/tar_reader.h"
#include "data/unpack.h"
#include "tests/fuzz/input_file.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/targets.h"

namespace convoy::fuzz {
namespace {

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
  const std::filesystem::path archive = write_input("archive.tar", input);
  list(archive);
  // Either may refuse what the other one takes.
  try {
    const DatasetSplits splits = load_cifar10(archive, 0);
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
