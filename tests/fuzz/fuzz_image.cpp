// Pictures, as convoy-image-decoder reads them: PNG, JPEG, BMP. What is taken has pixels, and can be resized. Memory is not in proportion to the
// input here: a few bytes may say that a million pixels are alike, for which the program that decodes has a limit of its own.
#include "data/decoder_picture.h"
#include "tests/fuzz/input_file.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/targets.h"

namespace convoy::fuzz {

void fuzz_image(std::string_view input) {
  const std::filesystem::path file = write_input("picture", input);
  const Picture whole = read_picture(file.c_str(), 0, 0);
  if (whole.fault[0] != 0) fail(ErrorKind::data, "{}", whole.fault);
  require(whole.pixels != nullptr && whole.h > 0 && whole.w > 0, "a picture without a fault has pixels");
  require(whole.h <= kMostSide && whole.w <= kMostSide && uint64_t{whole.h} * whole.w <= kMostPixels,
          "pictures are as large as they may be");
  uint64_t sum = 0;
  for (uint64_t i = 0; i < uint64_t{whole.h} * whole.w * 3; ++i) sum += whole.pixels.get()[i];
  require(sum <= 255 * uint64_t{3} * uint64_t{whole.h} * whole.w, "every byte of the pixels can be read");
  const Picture fitted = read_picture(file.c_str(), 5, 7);
  require(fitted.pixels != nullptr && fitted.h == 5 && fitted.w == 7, "what can be read can be resized");
}

}  // namespace convoy::fuzz
