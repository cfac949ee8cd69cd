// Many pictures at once, by as many decoders as there are cores.
#pragma once

#include <functional>
#include <span>

#include "data/image_decoder.h"
#include "tensor/tensor.h"

namespace convoy {

struct BadImage {
  size_t position;    // in `files`
  std::string fault;  // "cat/7.png: the file is empty"
};

// Called about ten times a second on the thread that waits.
using OnProgress = std::function<void(int64_t done, int64_t all)>;

// images u8 [files,h,w,3] = the pictures, fitted to that size (ImageDecoder::decode), but for bad ones, which are
// returned, the first first. Unless `skip_bad` the first bad one is thrown, Error(data). Throws Error(device) when
// there is no decoder.
std::vector<BadImage> decode_images(std::span<const std::filesystem::path> files, Tensor& images, bool skip_bad,
                                    const OnProgress& on_progress = {});

// image u8 [pixels,3] -> [pixels], as bright as the colours (ITU-R BT.601). Grey stays what it is.
void to_grey(const uint8_t* colours, int64_t pixels, uint8_t* grey);
Tensor as_grey(const Tensor& colours);  // u8 [n,h,w,3] -> [n,h,w,1]
// Whether red, green and blue of all pixels are equal.
bool is_grey(const uint8_t* colours, int64_t pixels);

}  // namespace convoy
