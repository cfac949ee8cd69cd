// CIFAR-10's binary files, in a folder. What is taken has a record for every 3073 bytes, whose first is the label.
#include <unistd.h>

#include "data/cifar10.h"
#include "tests/fuzz/input_file.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/targets.h"

namespace convoy::fuzz {

void fuzz_cifar10(std::string_view input) {
  const std::filesystem::path file = write_input("cifar10/data_batch_1.bin", input);
  const std::filesystem::path test = file.parent_path() / "test_batch.bin";
  // For as long as the process lives; it is there already after the first input.
  if (symlink("data_batch_1.bin", test.c_str()) == 0)
    require(std::filesystem::exists(test), "the link can be followed");
  const DatasetSplits splits = load_cifar10(file.parent_path());
  const Dataset& set = splits.train;
  const int64_t count = set.images.size(0);
  require(count > 0 && set.labels.count() == count && splits.test.labels.count() == count, "every image has a label");
  if (!input.starts_with("\x1f\x8b"))
    require(count * 3073 == static_cast<int64_t>(input.size()), "records are 3073 bytes each");
  for (int64_t i = 0; i < count; ++i) {
    const int32_t label = set.labels.data<int32_t>()[i];
    require(label >= 0 && label < static_cast<int32_t>(set.classes.size()), "labels are classes");
  }
  require(describe_cifar10_file(file) == std::to_string(count) + " records", "the description counts the same");
}

}  // namespace convoy::fuzz
