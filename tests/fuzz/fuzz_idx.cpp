// IDX files, plain and gzip, by themselves and as the labels or images of MNIST. What is taken has as many values as
// its header says, all of them the file's; labels are classes.
#include <algorithm>
#include <numeric>

#include "data/idx.h"
#include "data/mnist.h"
#include "tests/fuzz/input_file.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/targets.h"

namespace convoy::fuzz {
namespace {

constexpr std::string_view kLabels("\0\0\x08\x01\0\0\0\x02\x09\0", 10);                                // two
constexpr std::string_view kImages("\0\0\x08\x03\0\0\0\x02\0\0\0\x01\0\0\0\x02\x00\x7F\xFF\x01", 20);  // two of 1x2

// Of both splits.
void write_mnist(const std::string& folder, std::string_view labels, std::string_view images) {
  for (const std::string split : {"train", "t10k"}) {
    write_input(folder + "/" + split + "-labels-idx1-ubyte", labels);
    write_input(folder + "/" + split + "-images-idx3-ubyte", images);
  }
}

void check_dataset(const std::string& folder) {
  const DatasetSplits splits = load_mnist(input_folder() / folder);
  for (const Dataset* set : {&splits.train, &splits.test}) {
    const int64_t count = set->images.size(0);
    require(set->labels.count() == count && count > 0, "every image has a label");
    const int32_t* labels = set->labels.data<int32_t>();
    require(std::all_of(labels, labels + count, [](int32_t label) { return label >= 0 && label < 10; }),
            "labels are classes");
  }
}

void read_array(std::string_view input, int axes) {
  const IdxArray array = read_idx(write_input("array", input), axes);
  require(static_cast<int>(array.extents.size()) == axes, "there are as many extents as axes");
  const int64_t count = std::accumulate(array.extents.begin(), array.extents.end(), int64_t{1}, std::multiplies<>());
  require(count > 0 && count == static_cast<int64_t>(array.values.size()), "values fill the extents");
  if (input.starts_with("\x1f\x8b")) return;
  const std::string_view values(reinterpret_cast<const char*>(array.values.data()), array.values.size());
  require(input.substr(4 + 4 * static_cast<size_t>(axes)) == values, "values are the file's");
}

}  // namespace

void fuzz_idx(std::string_view input) {
  bool images = false;
  try {
    read_array(input, 1);
  } catch (const Error&) {
    read_array(input, 3);
    images = true;
  }
  const std::string folder = images ? "images" : "labels";
  write_mnist(folder, images ? kLabels : input, images ? input : kImages);
  check_dataset(folder);
}

}  // namespace convoy::fuzz
