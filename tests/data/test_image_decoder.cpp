// Pictures become pixels, and what is made to harm its reader becomes an error of one line.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <random>

#include "data/decode_images.h"
#include "tests/data/files.h"
#include "tests/data/pictures.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

class ImageDecoding : public WithImageDecoder {
 protected:
  fs::path write(const std::string& name, const std::string& bytes) const {
    write_picture(folder_.path() / name, bytes);
    return folder_.path() / name;
  }

  // A stand-in for the decoder: a script that does `commands`.
  std::string stand_in(const std::string& commands) const {
    const fs::path script = write("decoder", "#!/bin/sh\n" + commands + "\n");
    fs::permissions(script, fs::perms::owner_all);
    return script.string();
  }

  const TemporaryFolder folder_;
  ImageDecoder decoder_;
};

uint8_t some_colour(int x, int y, int channel) { return static_cast<uint8_t>(40 * x + 9 * y + 70 * channel); }

Bytes pixels_of(int w, int h, const Pixel& pixel) {
  Bytes pixels;
  for (int y = 0; y < h; ++y) {
    for (int x = 0; x < w; ++x) {
      for (int channel = 0; channel < 3; ++channel) pixels.push_back(pixel(x, y, channel));
    }
  }
  return pixels;
}

TEST_F(ImageDecoding, png_and_bmp_become_their_pixels_whatever_their_names) {
  const Bytes expected = pixels_of(5, 3, some_colour);
  for (const auto& path : {write("a.png", png(5, 3, 3, some_colour)), write("b.jpg", bmp(5, 3, some_colour))}) {
    const DecodedImage image = decoder_.decode(path);
    EXPECT_EQ(image.size.h, 3);
    EXPECT_EQ(image.size.w, 5);
    EXPECT_EQ(image.pixels, expected) << path;
  }
}

TEST_F(ImageDecoding, jpeg_becomes_its_pixels) {
  const DecodedImage image = decoder_.decode(write("a.jpeg", jpeg()));
  EXPECT_EQ(image.size.h, 8);
  EXPECT_EQ(image.size.w, 16);
  for (size_t i = 0; i < image.pixels.size(); i += 3) {  // lossy
    EXPECT_NEAR(image.pixels[i], 201, 2);
    EXPECT_NEAR(image.pixels[i + 1], 40, 2);
    EXPECT_NEAR(image.pixels[i + 2], 90, 2);
  }
}

// stb_image's message about a part of a PNG file that it does not know holds the four bytes of its name.
TEST_F(ImageDecoding, a_message_holds_no_control_characters_of_the_file) {
  std::string bytes = png(1, 1, 1, some_colour);
  const size_t at = bytes.find("IDAT");
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, 4, "\x1b[2J");
  const std::string error = error_of([&] { decoder_.decode(write("escape.png", bytes)); });
  EXPECT_TRUE(contains(error, {"escape.png: ", "?[2J"})) << error;
  EXPECT_EQ(error.find('\x1b'), std::string::npos);
}

TEST_F(ImageDecoding, grey_has_equal_channels_and_what_can_be_seen_through_stands_on_white) {
  const auto grey = [](int x, int, int) { return static_cast<uint8_t>(100 + x); };
  EXPECT_EQ(decoder_.decode(write("grey.png", png(4, 2, 1, grey))).pixels, pixels_of(4, 2, grey));
  const auto half = [](int, int, int channel) {
    return static_cast<uint8_t>(channel == 3 ? 51 : 0);
  };  // 51/255 is a fifth
  EXPECT_EQ(decoder_.decode(write("half.png", png(1, 1, 4, half))).pixels, (Bytes{204, 204, 204}));
}

TEST_F(ImageDecoding, the_middle_that_has_the_shape_is_resized) {
  // Green with red at the left and the right, or above and below: cut off.
  const auto wide = [](int x, int, int channel) {
    return static_cast<uint8_t>((x < 9 || x >= 31) == (channel == 0) ? 255 : 0);
  };
  const auto high = [&](int x, int y, int channel) { return wide(y, x, channel); };
  for (const std::string& bytes : {png(40, 20, 3, wide), png(20, 40, 3, high)}) {
    const DecodedImage image = decoder_.decode(write("a.png", bytes), {10, 10});
    ASSERT_EQ(image.pixels.size(), 300u);
    for (size_t i = 0; i < 300; i += 3) EXPECT_EQ(image.pixels[i], 0) << i;
  }
  // Two halves stay where they are, made smaller and larger.
  const auto halves = [](int x, int, int) { return static_cast<uint8_t>(x < 8 ? 0 : 255); };
  for (const int64_t side : {4, 50}) {
    const DecodedImage image = decoder_.decode(write("a.png", png(16, 16, 3, halves)), {side, side});
    EXPECT_LT(image.pixels.front(), 10);
    EXPECT_GT(image.pixels.back(), 245);
    EXPECT_LT(image.pixels[image.pixels.size() - static_cast<size_t>(side) * 3], 10) << "lower left";
  }
  const DecodedImage line = decoder_.decode(write("a.png", png(2000, 1, 3, halves)), {7, 5});
  EXPECT_EQ(line.pixels, Bytes(7 * 5 * 3, 255));
}

TEST_F(ImageDecoding, what_is_no_picture_is_told_in_a_line_and_the_next_is_read) {
  const std::string good = png(5, 3, 3, some_colour), large_bmp = bmp(16, 16, some_colour);
  mkfifo((folder_.path() / "pipe.png").c_str(), 0600);
  fs::create_directory(folder_.path() / "folder.png");
  const std::string noise = [] {
    const Bytes bytes = pattern(5000);
    return std::string(bytes.begin(), bytes.end());
  }();
  const std::vector<std::pair<fs::path, std::string>> cases{
      {folder_.path() / "missing.png", "No such file"},
      {folder_.path() / "folder.png", "is not a file"},
      {folder_.path() / "pipe.png", "is not a file"},
      {write("empty.png", ""), "the file is empty"},
      {write("text.png", "this is text"), "no PNG, JPEG or BMP image"},
      {write("gif.png", "GIF89a" + noise), "no PNG, JPEG or BMP image"},
      {write("cut.png", good.substr(0, good.size() / 2)), "cut.png: "},
      {write("cut.jpg", jpeg().substr(0, 270)), "cut.jpg: "},
      {write("cut.bmp", large_bmp.substr(0, 400)), "truncated"},
      {write("noise.png", good.substr(0, 8) + noise), "noise.png: "},
      {write("noise.jpg", jpeg().substr(0, 20) + noise), "noise.jpg: "},
      {write("wide.png", png_of_rows(60000, 1, 3, "x")), "at most 16384 on a side"},
      {write("large.png", png_of_rows(16384, 16384, 3, "x")), "at most 67 million"},
      {write("huge.png", png_of_rows(0x7fffffff, 0x7fffffff, 3, "x")), "huge.png: "},
      {write("none.png", png_of_rows(0, 0, 3, "x")), "none.png: "},
      {write("lie.png", png_of_rows(8000, 8000, 4, "x")), "lie.png: "}};
  for (const auto& [path, told] : cases) {
    const std::string error = error_of([&, file = path] { decoder_.decode(file, {8, 8}); });
    EXPECT_TRUE(contains(error, {path.string() + ": ", told}));
    EXPECT_FALSE(contains(error, {"crashed"})) << error;
    EXPECT_EQ(decoder_.decode(write("good.png", good)).pixels, pixels_of(5, 3, some_colour)) << "after " << path;
  }
}

TEST_F(ImageDecoding, damaged_pictures_never_do_more_than_fail) {
  std::mt19937 random(1);
  const std::vector<std::string> originals{png(37, 23, 3, some_colour), png(20, 20, 1, some_colour), jpeg(),
                                           bmp(9, 9, some_colour)};
  int read = 0, failed = 0;
  for (int i = 0; i < 400; ++i) {
    std::string bytes = originals[static_cast<size_t>(i) % originals.size()];
    for (int change = 0; change < 1 + i % 8; ++change) bytes[random() % bytes.size()] = static_cast<char>(random());
    if (i % 5 == 0) bytes.resize(random() % bytes.size());
    const fs::path path = write("damaged.png", bytes);
    try {
      EXPECT_EQ(decoder_.decode(path, {8, 8}).pixels.size(), 192u);
      ++read;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data) << error.what();
      EXPECT_TRUE(contains(error.what(), {path.string() + ": "}));
      ++failed;
    }
  }
  EXPECT_GT(read, 20);
  EXPECT_GT(failed, 100);
}

TEST_F(ImageDecoding, a_decoder_that_was_killed_is_started_again) {
  const fs::path path = write("a.png", png(5, 3, 3, some_colour));
  decoder_.decode(path);
  const pid_t first = decoder_.process();
  ASSERT_GT(first, 0);
  kill(first, SIGKILL);
  EXPECT_EQ(decoder_.decode(path).pixels, pixels_of(5, 3, some_colour));
  EXPECT_NE(decoder_.process(), first);
}

TEST_F(ImageDecoding, a_picture_that_crashes_the_decoder_is_named) {
  const fs::path path = write("a.png", png(5, 3, 3, some_colour));
  for (const std::string commands : {"kill -SEGV $$", "head -c 12 >&2; exit 0", "exit 3"}) {
    const EnvironmentVariable program("CONVOY_IMAGE_DECODER", stand_in(commands).c_str());
    EXPECT_EQ(error_of([&] { decoder_.decode(path); }),
              path.string() + ": the decoder crashed on it; not an image Convoy can read");
  }
  EXPECT_EQ(decoder_.decode(path).size.w, 5) << "the right decoder again";
}

TEST_F(ImageDecoding, a_decoder_that_lies_about_what_it_sends_is_not_believed) {
  const fs::path path = write("a.png", png(5, 3, 3, some_colour));
  // good, 65536 x 65536 pixels, 2^62 bytes; good, 1 x 1 pixels, 100 bytes; not good, 2^32 bytes of text
  for (const std::string answer : {R"(\1\0\0\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\100)",
                                   R"(\1\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0\144\0\0\0\0\0\0\0)",
                                   R"(\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0)"}) {
    const EnvironmentVariable program("CONVOY_IMAGE_DECODER",
                                      stand_in("printf '" + answer + "'; exec sleep 5").c_str());
    EXPECT_TRUE(contains(error_of([&] { decoder_.decode(path); }), {"the decoder crashed on it"}));
  }
}

TEST_F(ImageDecoding, a_picture_without_end_is_given_up) {
  const fs::path path = write("a.png", png(5, 3, 3, some_colour));
  ImageDecoder impatient(std::chrono::milliseconds(200));
  {
    const EnvironmentVariable program("CONVOY_IMAGE_DECODER", stand_in("exec sleep 100").c_str());
    EXPECT_EQ(error_of([&] { impatient.decode(path); }),
              path.string() + ": the decoder found no end to it; not an image Convoy can read");
  }
  EXPECT_EQ(impatient.process(), -1);
}

TEST_F(ImageDecoding, no_decoder_at_all_is_told_with_the_cure) {
  const EnvironmentVariable program("CONVOY_IMAGE_DECODER", "/no/such/decoder");
  EXPECT_TRUE(contains(error_of([&] { decoder_.decode("a.png"); }, ErrorKind::device),
                       {"/no/such/decoder: cannot be started: No such file"}));
}

int64_t open_files() { return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator()); }

TEST_F(ImageDecoding, leaves_no_processes_and_no_open_files) {
  const fs::path path = write("a.png", png(5, 3, 3, some_colour));
  const int64_t before = open_files();
  for (int i = 0; i < 5; ++i) {
    ImageDecoder one;
    one.decode(path);
    kill(one.process(), SIGKILL);
    one.decode(path);
  }
  EXPECT_EQ(open_files(), before);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST_F(ImageDecoding, decoders_inherit_no_files) {
  const int file = open("/dev/null", O_RDONLY);  // which programs would inherit
  decoder_.decode(write("a.png", png(5, 3, 3, some_colour)));
  const fs::path files = "/proc/" + std::to_string(decoder_.process()) + "/fd";
  EXPECT_EQ(std::distance(fs::directory_iterator(files), fs::directory_iterator()), 3);
  close(file);
}

TEST_F(ImageDecoding, many_threads_find_the_same_first_bad_image) {
  std::vector<fs::path> files;
  for (int i = 0; i < 60; ++i)
    files.push_back(write(fmt::format("{:02}.png", i), i == 23 || i == 24 || i == 50 ? "" : png(4, 4, 3, some_colour)));
  Tensor images = Tensor::zeros({60, 4, 4, 3}, DType::u8, Device{});
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(error_of([&] { decode_images(files, images, false); }), files[23].string() + ": the file is empty");
  const std::vector<BadImage> bad = decode_images(files, images, true);
  ASSERT_EQ(bad.size(), 3u);
  EXPECT_EQ(bad[2].position, 50u);
  const Bytes expected = pixels_of(4, 4, some_colour);
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), images.data<uint8_t>() + 59 * 48));
}

TEST(Grey, is_as_bright_as_the_colours_and_grey_stays_what_it_is) {
  const Bytes colours{0, 0, 0, 255, 255, 255, 131, 131, 131, 255, 0, 0, 0, 255, 0, 0, 0, 255};
  Bytes grey(6);
  to_grey(colours.data(), 6, grey.data());
  EXPECT_EQ(grey, (Bytes{0, 255, 131, 77, 149, 29}));
  EXPECT_TRUE(is_grey(colours.data(), 3));
  EXPECT_FALSE(is_grey(colours.data(), 4));
}

}  // namespace
}  // namespace convoy
