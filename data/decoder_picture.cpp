#include "data/decoder_picture.h"

#include <fcntl.h>
#include <stb_image_resize.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <utility>

#include "data/decoder_stb_image.h"

namespace convoy {
namespace {

[[gnu::format(printf, 1, 2)]] Picture bad(const char* format, ...) {
  Picture picture;
  va_list values;
  va_start(values, format);
  std::vsnprintf(picture.fault, sizeof picture.fault, format, values);
  va_end(values);
  return picture;
}

Buffer allocate(uint64_t bytes) { return Buffer(static_cast<uint8_t*>(std::malloc(bytes))); }

struct OpenFile {
  int number;
  ~OpenFile() {
    if (number >= 0) close(number);
  }
};

// Fills `bytes` and `size`; or tells what is wrong.
Picture read_file(const char* path, Buffer& bytes, uint64_t& size) {
  // Not waiting for the other end, should it be a pipe.
  const OpenFile file{open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat facts {};
  if (file.number < 0 || fstat(file.number, &facts) != 0) return bad("cannot be read: %s", std::strerror(errno));
  if (!S_ISREG(facts.st_mode)) return bad("is not a file");
  size = static_cast<uint64_t>(facts.st_size);
  if (size == 0) return bad("the file is empty");
  if (size > kMostPictureBytes) return bad("%llu MiB, more than 256", static_cast<unsigned long long>(size >> 20));
  bytes = allocate(size);
  if (bytes == nullptr) return bad("out of memory");
  for (uint64_t have = 0; have < size;) {
    const ssize_t count = read(file.number, bytes.get() + have, size - have);
    if (count < 0) return bad("cannot be read: %s", std::strerror(errno));
    if (count == 0) return bad("became shorter while it was read");
    have += static_cast<uint64_t>(count);
  }
  return {};
}

uint32_t little_endian(const uint8_t* bytes) {
  return bytes[0] | uint32_t{bytes[1]} << 8 | uint32_t{bytes[2]} << 16 | uint32_t{bytes[3]} << 24;
}

// Whether a BMP file has fewer bytes than its rows take, which stb_image does not notice. Microsoft's description of
// the format: https://learn.microsoft.com/windows/win32/gdi/bitmap-storage
bool is_short_bmp(const uint8_t* bytes, uint64_t size, int w, int h) {
  if (size < 30 || bytes[0] != 'B' || bytes[1] != 'M') return false;
  const bool old = little_endian(bytes + 14) == 12;  // the size of the header tells its version
  const uint64_t bits = bytes[old ? 24 : 28];
  const uint64_t row = (static_cast<uint64_t>(w) * bits + 31) / 32 * 4;
  return little_endian(bytes + 10) + row * static_cast<uint64_t>(h) > size;
}

// Red, green, blue and how solid it is, [n,4], become [n,3] as seen on white; in place.
void put_on_white(uint8_t* pixels, uint64_t n) {
  const uint8_t* from = pixels;
  for (uint64_t i = 0; i < n; ++i, from += 4) {
    const unsigned solid = from[3];
    for (int channel = 0; channel < 3; ++channel)
      *pixels++ = static_cast<uint8_t>((from[channel] * solid + 255 * (255 - solid) + 127) / 255);
  }
}

Picture decode(const uint8_t* bytes, uint64_t size) {
  int w = 0, h = 0, channels = 0;
  const int count = static_cast<int>(size);
  static_assert(kMostPictureBytes <= INT_MAX);
  if (stbi_info_from_memory(bytes, count, &w, &h, &channels) == 0) {
    const char* const reason = stbi_failure_reason();
    return bad("no PNG, JPEG or BMP image that Convoy can read%s%s", reason ? ": " : "", reason ? reason : "");
  }
  if (w < 1 || h < 1) return bad("%d x %d pixels", w, h);
  if (static_cast<unsigned>(w) > kMostSide || static_cast<unsigned>(h) > kMostSide)
    return bad("%d x %d pixels, at most %u on a side can be read", w, h, kMostSide);
  if (static_cast<uint64_t>(w) * static_cast<uint64_t>(h) > kMostPixels)
    return bad("%d x %d pixels, at most %u million can be read", w, h, static_cast<unsigned>(kMostPixels / 1'000'000));
  if (is_short_bmp(bytes, size, w, h)) return bad("truncated: its rows need more bytes than are there");
  int decoded_w = 0, decoded_h = 0;
  Picture picture;
  picture.pixels.reset(stbi_load_from_memory(bytes, count, &decoded_w, &decoded_h, &channels, 4));
  if (picture.pixels == nullptr) return bad("damaged or truncated: %s", stbi_failure_reason());
  if (decoded_w != w || decoded_h != h) return bad("damaged: its header tells two sizes");
  picture.w = static_cast<uint32_t>(w);
  picture.h = static_cast<uint32_t>(h);
  put_on_white(picture.pixels.get(), uint64_t{picture.w} * picture.h);
  return picture;
}

// The middle of the picture that has the shape of h x w, resized to that.
Picture fitted(Picture picture, uint32_t h, uint32_t w) {
  if (picture.h == h && picture.w == w) return picture;
  uint64_t part_h = picture.h, part_w = picture.w;
  if (part_w * h > part_h * w) {
    part_w = (part_h * w + h / 2) / h;
  } else {
    part_h = (part_w * h + w / 2) / w;
  }
  part_h = part_h < 1 ? 1 : part_h > picture.h ? picture.h : part_h;
  part_w = part_w < 1 ? 1 : part_w > picture.w ? picture.w : part_w;
  const uint64_t row = uint64_t{picture.w} * 3;
  const uint8_t* const part = picture.pixels.get() + (picture.h - part_h) / 2 * row + (picture.w - part_w) / 2 * 3;
  Picture result;
  result.h = h;
  result.w = w;
  result.pixels = allocate(uint64_t{h} * w * 3);
  const bool done =
      result.pixels != nullptr &&
      stbir_resize_uint8_generic(part, static_cast<int>(part_w), static_cast<int>(part_h), static_cast<int>(row),
                                 result.pixels.get(), static_cast<int>(w), static_cast<int>(h), static_cast<int>(w * 3),
                                 3, STBIR_ALPHA_CHANNEL_NONE, 0, STBIR_EDGE_CLAMP, STBIR_FILTER_DEFAULT,
                                 STBIR_COLORSPACE_LINEAR, nullptr) != 0;
  return done ? std::move(result) : bad("out of memory");
}

}  // namespace

Picture read_picture(const char* path, uint32_t h, uint32_t w) {
  Buffer bytes;
  uint64_t size = 0;
  Picture picture = read_file(path, bytes, size);
  if (picture.fault[0] == 0) picture = decode(bytes.get(), size);
  if (picture.fault[0] != 0 || (h == 0 && w == 0)) return picture;
  return fitted(std::move(picture), h, w);
}

}  // namespace convoy
