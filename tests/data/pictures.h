// Small pictures made by the tests, as files: PNG and BMP of any pixels, and one JPEG.
#pragma once

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "data/image_decoder.h"
#include "tensor/error.h"

namespace convoy {

// Of tests that read pictures: they skip in a build without a decoder.
class WithImageDecoder : public ::testing::Test {
 protected:
  void SetUp() override {
    try {
      image_decoder_program();
    } catch (const Error& none) {
      GTEST_SKIP() << none.what();
    }
  }
};

using Pixel = std::function<uint8_t(int x, int y, int channel)>;

inline void write_picture(const std::filesystem::path& path, const std::string& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

inline std::string big_endian(uint32_t number) {
  std::string bytes;
  for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(number >> shift & 0xff);
  return bytes;
}

inline std::string little_endian(uint32_t number) {
  const std::string bytes = big_endian(number);
  return {bytes.rbegin(), bytes.rend()};
}

// https://www.w3.org/TR/png/
inline std::string png_chunk(const std::string& type, const std::string& content) {
  const std::string body = type + content;
  const auto sum = crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return big_endian(static_cast<uint32_t>(content.size())) + body + big_endian(static_cast<uint32_t>(sum));
}

// A PNG whose header claims w x h; `raw` are the rows, each with the byte of its filter before it. `channels`: 1 grey,
// 2 grey and alpha, 3 RGB, 4 RGBA.
inline std::string png_of_rows(uint32_t w, uint32_t h, int channels, const std::string& raw) {
  const char kinds[] = {0, 0, 4, 2, 6};
  std::string packed(compressBound(raw.size()), 0);
  uLongf size = packed.size();
  compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(raw.data()), raw.size());
  packed.resize(size);
  return std::string("\x89PNG\r\n\x1a\n") +
         png_chunk("IHDR", big_endian(w) + big_endian(h) + std::string{8, kinds[channels], 0, 0, 0}) +
         png_chunk("IDAT", packed) + png_chunk("IEND", "");
}

inline std::string png(int w, int h, int channels, const Pixel& pixel) {
  std::string raw;
  for (int y = 0; y < h; ++y) {
    raw += '\0';
    for (int x = 0; x < w; ++x) {
      for (int channel = 0; channel < channels; ++channel) raw += static_cast<char>(pixel(x, y, channel));
    }
  }
  return png_of_rows(static_cast<uint32_t>(w), static_cast<uint32_t>(h), channels, raw);
}

// One colour all over.
inline std::string png(int w, int h, uint8_t red, uint8_t green, uint8_t blue) {
  return png(w, h, 3, [=](int, int, int channel) { return channel == 0 ? red : channel == 1 ? green : blue; });
}

// 24 bits a pixel, rows from below.
inline std::string bmp(int w, int h, const Pixel& pixel) {
  std::string rows;
  for (int y = h - 1; y >= 0; --y) {
    for (int x = 0; x < w; ++x) {
      for (int channel = 2; channel >= 0; --channel) rows += static_cast<char>(pixel(x, y, channel));
    }
    rows.resize((rows.size() + 3) / 4 * 4);
  }
  return "BM" + little_endian(static_cast<uint32_t>(54 + rows.size())) + little_endian(0) + little_endian(54) +
         little_endian(40) + little_endian(static_cast<uint32_t>(w)) + little_endian(static_cast<uint32_t>(h)) +
         std::string("\1\0\30\0", 4) + std::string(24, 0) + rows;
}

// 16 x 8 pixels, all of them 201, 40, 90.
inline std::string jpeg() {
  const std::string digits =
      "ffd8ffe000104a46494600010100000100010000ffdb0043000302020302020303030304030304050805050404050a070706080c0a0c0c0b"
      "0a0b0b0d0e12100d0e110e0b0b1016101113141515150c0f171816141812141514ffdb00430103040405040509050509140d0b0d14141414"
      "14141414141414141414141414141414141414141414141414141414141414141414141414141414141414141414ffc00011080008001003"
      "011100021101031101ffc4001500010100000000000000000000000000000007ffc40014100100000000000000000000000000000000ffc4"
      "00160101010100000000000000000000000000000308ffc40014110100000000000000000000000000000000ffda000c0301000211031100"
      "3f009224d9603fffd9";
  std::string bytes;
  for (size_t i = 0; i < digits.size(); i += 2) bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  return bytes;
}

}  // namespace convoy
