// Folders of pictures as a data set, `--dataset folder:PATH`: one folder for each class, named like it.
//
//   PATH/cat/1.png  PATH/cat/2.jpg  PATH/dog/1.bmp  …           a part of each class is held back to test
//   PATH/train/cat/1.png  …  PATH/test/cat/1.png (or val/)  …   the parts are the user's
#pragma once

#include "data/dataset.h"

namespace convoy {

inline constexpr const char* kFolderDataset = "folder";
inline constexpr int64_t kDefaultImageSize = 32;
inline constexpr float kDefaultValSplit = 0.1f;

// Images [n,s,s,c] with s = request.image_size: the middle square of each picture, resized. c is 1 when all are grey,
// else 3. Classes are the folders in the order of their names. Training images come in an order drawn from the seed; so
// does, without folders of the user's for it, which of them the test images are: of each class the share
// request.val_split. Normalised by mean and standard deviation of the training images. Throws Error(data) for a picture
// that cannot be read, naming it, unless request.skip_bad_images; for fewer than two classes; Error(device) when memory
// would not do.
DatasetSplits load_image_folder(const std::filesystem::path& folder, const DatasetRequest& request);

// The first `images` bytes against what there is: throws Error(device) that says how to need less.
void check_memory(const std::string& what, double needed_bytes, double available_bytes);

// Mean and standard deviation of each channel; the latter 1 where all pixels are equal. images u8 [n,h,w,c].
Normalisation normalisation_of(const Tensor& images);

}  // namespace convoy
