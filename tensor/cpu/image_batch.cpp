// Gathers a batch of images from a u8 data set, crops, flips and normalises them.
#include "tensor/cpu/parallel.h"
#include "tensor/cpu/table.h"

namespace convoy::CONVOY_ISA {

void image_batch(const Stream& stream, const ImageBatchShape& s, const uint8_t* images, const int32_t* index,
                 float* out) {
  float normalised[256][4];  // every byte's value in every channel
  for (int value = 0; value < 256; ++value)
    for (int c = 0; c < 4; ++c)
      normalised[value][c] = (static_cast<float>(value) / 255.0f - s.mean[c]) * s.inverse_std[c];

  const int64_t row = s.w * s.c;
  parallel_for(stream, s.n, 8192 / (s.h * row + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const Random4 random = philox(s.key, static_cast<uint64_t>(index[n]));
      // Output pixel (h, w) comes from pixel (h + down, w + right) of the possibly mirrored image, black
      // outside of it.
      const uint32_t offsets = static_cast<uint32_t>(2 * s.crop_pad + 1);
      const int64_t down = static_cast<int64_t>(random_below(random.v[0], offsets)) - s.crop_pad;
      const int64_t right = static_cast<int64_t>(random_below(random.v[1], offsets)) - s.crop_pad;
      const bool mirrored = s.flip && (random.v[2] >> 31) != 0;
      const uint8_t* const image = images + index[n] * s.h * row;
      for (int64_t h = 0; h < s.h; ++h) {
        float* const to = out + (n * s.h + h) * row;
        const bool row_inside = h + down >= 0 && h + down < s.h;
        for (int64_t w = 0; w < s.w; ++w) {
          const int64_t column = mirrored ? s.w - 1 - (w + right) : w + right;
          const bool inside = row_inside && column >= 0 && column < s.w;
          for (int64_t c = 0; c < s.c; ++c) {
            const int value = inside ? image[(h + down) * row + column * s.c + c] : 0;
            to[w * s.c + c] = normalised[value][c];
          }
        }
      }
    }
  });
}

}  // namespace convoy::CONVOY_ISA
