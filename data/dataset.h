// Image data sets in memory, and the table of those that Convoy knows.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace convoy {

// Channel statistics of pixels in [0, 1]: a network sees (pixel / 255 - mean) / std.
struct Normalisation {
  std::array<float, 4> mean{}, std{1, 1, 1, 1};
  bool operator==(const Normalisation&) const = default;
};

struct Dataset {
  Tensor images;  // u8 [size, H, W, C], C at most 4; on the CPU unless moved
  Tensor labels;  // i32 [size], each in [0, classes.size()); always on the CPU
  std::vector<std::string> classes;
  Normalisation normalisation;

  int64_t size() const { return images.size(0); }
  Dataset slice(int64_t begin, int64_t end) const;  // shares memory
  Dataset to(Device device) const;                  // the images moved there
};

struct DatasetSplits {
  Dataset train, test;
  std::vector<std::string> warnings;  // "test_batch.bin: 1000 of the official 10000 records"
};

struct DatasetRequest;

struct DatasetRow {
  const char* name;  // "mnist", "cifar10", "fashion-mnist", "synthetic", "folder"
  const char* help;
  const char* folder;  // its usual folder name, "" when it needs no files
  const char* files;   // what to put there, for messages
  // Where it was found, or an empty path when it is not here. `data` is the user's --data, may be empty: then
  // $CONVOY_DATA and the user cache ($XDG_CACHE_HOME/convoy or ~/.cache/convoy) are searched, each as DIR/<usual
  // folder name> and DIR itself.
  std::filesystem::path (*find)(const std::filesystem::path& data);
  // All images, but that those which the request is going to cut off may be anything.
  DatasetSplits (*load)(const std::filesystem::path& found, const DatasetRequest& request);
  // The files that load() would read there, and what one of them holds ("10000 records"); describe() throws Error(data)
  // when it is damaged. Null when it needs no files.
  std::vector<std::filesystem::path> (*files_in)(const std::filesystem::path& found);
  std::string (*describe)(const std::filesystem::path& file);
  int64_t h, w, c;  // of an image; 0 where the folder that is named decides
  int classes;      // likewise
  int crop_pad;     // what --augment on does
  bool flip;
  bool augment_by_default;
  bool takes_path = false;  // its name is "folder:PATH"; then all functions are null
};

std::span<const DatasetRow> dataset_table();
// "folder:PATH" is of the row "folder". Throws unknown_name; Error(usage) for a path too many or too few.
const DatasetRow& find_dataset_row(std::string_view name);
// The PATH of "folder:PATH"; empty for other names.
std::filesystem::path dataset_path(std::string_view name);
// A data set's name as a part of a file name: "cats" of "folder:/home/me/cats/".
std::string dataset_label(const std::string& name);

// row.find(), but throws Error(data) with the places searched and the cure when it is not here.
std::filesystem::path place_of(const DatasetRow& row, const std::filesystem::path& data);

struct DatasetRequest {
  std::string name{};
  std::filesystem::path data{};  // --data, may be empty
  uint64_t seed = 1;             // synthetic digits are drawn from it, and which images of a folder are for testing
  int64_t holdout = 0;           // the last so many training images become `test`, which is then a validation set
  int64_t limit = 0;             // use only the first so many training images (after the holdout); 0: all

  // Of folders of images (image_folder.h).
  int64_t image_size = 0;        // pixels of a side; 0: kDefaultImageSize
  float val_split = 0;           // share of each class to test on; 0: kDefaultValSplit
  bool skip_bad_images = false;  // leave out what cannot be read, with a warning
  // Called about ten times a second on the calling thread.
  std::function<void(int64_t images, int64_t of)> on_progress{};
};

// Finds, loads, checks and cuts. Throws Error(data) with the file and the fault; when nothing is found, names
// the places searched and the cure.
DatasetSplits load_dataset(const DatasetRequest& request);

}  // namespace convoy
