// Pictures, by way of the program that decodes them: PNG, JPEG, BMP. It may crash, as stb_image does on some of the
// inputs in corpus/image, and the picture is refused like any other that is damaged; the next one finds a program that
// works. What is taken has the size that was asked for.
#include "data/image_decoder.h"
#include "tests/fuzz/input_file.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/targets.h"

namespace convoy::fuzz {

void fuzz_image(std::string_view input) {
  static ImageDecoder decoder;
  const DecodedImage image = decoder.decode(write_input("picture", input), {5, 7});
  require(image.size.h == 5 && image.size.w == 7, "a picture has the size that was asked for");
  require(image.pixels.size() == size_t{5} * 7 * 3, "every pixel has three colours");
}

}  // namespace convoy::fuzz
