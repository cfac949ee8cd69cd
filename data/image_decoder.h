// Pictures in files: PNG, JPEG and BMP, decoded by a program of its own (decoder_main.cpp), because a file can be made
// such that its decoder crashes or goes on forever. That then costs an error that names the file, and nothing else.
//
//   ImageDecoder decoder;
//   const DecodedImage image = decoder.decode("cat/7.png", {32, 32});
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace convoy {

struct ImageSize {
  int64_t h = 0, w = 0;  // pixels; both 0: as it is
};

struct DecodedImage {
  ImageSize size;
  std::vector<uint8_t> pixels;  // [h,w,3]; red, green and blue are equal where it is grey
};

// One thread at a time; several may have one each.
class ImageDecoder {
 public:
  // Starts nothing yet. `time_out`: what a picture may take.
  explicit ImageDecoder(std::chrono::milliseconds time_out = std::chrono::seconds(60)) : time_out_(time_out) {}
  ~ImageDecoder() { stop(); }
  ImageDecoder(const ImageDecoder&) = delete;
  ImageDecoder& operator=(const ImageDecoder&) = delete;

  // Of another size than `wanted`, the middle of the picture that has its shape, resized to it. What can be seen
  // through stands on white. Throws Error(data) "<path>: <what is wrong>"; after one the next picture is decoded as if
  // nothing had been. Throws Error(device) when there is no such program.
  DecodedImage decode(const std::filesystem::path& path, ImageSize wanted = {});

  pid_t process() const { return process_; }  // -1: not started

 private:
  struct Reply;
  void start();
  // Ends the program; the signal that had ended it before, or 0.
  int stop();
  // Nothing when the program is gone.
  std::optional<Reply> ask(const std::filesystem::path& path, ImageSize wanted);

  std::chrono::milliseconds time_out_;
  pid_t process_ = -1;
  int socket_ = -1;
};

// $CONVOY_IMAGE_DECODER; else the program beside this one; else where it was built. Throws Error(device) when it is
// nowhere.
std::filesystem::path image_decoder_program();

}  // namespace convoy
