// The pixels of a picture's file. For the program that does nothing else (decoder_main.cpp): files may be made to crash
// whoever reads them.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>

#include "data/image_protocol.h"

namespace convoy {

struct Free {
  void operator()(uint8_t* bytes) const { std::free(bytes); }
};
using Buffer = std::unique_ptr<uint8_t, Free>;  // from malloc(), which may say no

struct Picture {
  uint32_t h = 0, w = 0;
  Buffer pixels;                     // [h,w,3], red, green, blue
  char fault[kMostFaultBytes] = "";  // what is wrong with it; then there are no pixels
};

// The picture in the file `path`: PNG, JPEG or BMP, by its content. Grey is red = green = blue; what can be seen
// through stands on white. With a size that is not 0 x 0 the middle of it, as large as the shape of that size allows,
// is resized to it.
Picture read_picture(const char* path, uint32_t h, uint32_t w);

}  // namespace convoy
