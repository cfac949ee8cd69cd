// The file of named tensors: round trips, byte layout, and hostile files.
#include "tensor/safetensors.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <cstring>
#include <fstream>

#include "tensor/atomic_file.h"
#include "tensor/philox.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

class Safetensors : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  void put(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary | std::ios::trunc)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  std::string bytes() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // A file of this header and so many zero bytes of data.
  void put_header(const std::string& header, size_t data_bytes) const {
    const uint64_t length = header.size();
    std::string file(8, '\0');
    std::memcpy(file.data(), &length, 8);
    put(file + header + std::string(data_bytes, '\0'));
  }
  // The message of the Error(data) that reading throws; it must name the file and fit one line.
  std::string refusal() const {
    try {
      read_safetensors(path_);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data) << error.what();
      const std::string message = error.what();
      EXPECT_TRUE(message.starts_with(path_.string() + ": ")) << message;
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
      return message.substr(path_.string().size() + 2);
    }
    return "accepted";
  }
  size_t files_in_folder() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  const fs::path folder_ = fs::temp_directory_path() / fmt::format("convoy safetensors {}", getpid());
  const fs::path path_ = folder_ / "weights.safetensors";
};

TensorFile small_file() {
  TensorFile file;
  file.tensors["a.weight"] = Tensor::from(std::vector<float>{1, -2, 3.5f, 0, 5, 6}, {2, 3});
  file.tensors["a.bias"] = Tensor::from(std::vector<float>{7}, {1});
  file.tensors["labels"] = Tensor::from(std::vector<int32_t>{-1, 2147483647}, {2});
  file.metadata["format"] = "pt";
  return file;
}

TEST_F(Safetensors, round_trip_keeps_names_shapes_dtypes_values_and_metadata) {
  TensorFile file = small_file();
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16, DType::i32, DType::u8}) {
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{1}, Shape{3, 0, 2}, Shape{7, 1, 2, 3, 1, 5}}) {
      Tensor tensor = Tensor::empty(shape, dtype);
      for (int64_t i = 0; i < tensor.bytes(); ++i) tensor.raw()[i] = static_cast<std::byte>(i * 37 % 64);
      file.tensors[fmt::format("{} {}", name_of(dtype), shape)] = tensor;
    }
  }
  write_safetensors(path_, file);
  const TensorFile read = read_safetensors(path_);
  EXPECT_EQ(read.metadata, file.metadata);
  ASSERT_EQ(read.tensors.size(), file.tensors.size());
  for (const auto& [name, tensor] : file.tensors) {
    const Tensor& other = read.tensors.at(name);
    ASSERT_EQ(other.shape(), tensor.shape()) << name;
    ASSERT_EQ(other.dtype(), tensor.dtype()) << name;
    if (tensor.bytes() == 0) continue;
    EXPECT_EQ(std::memcmp(other.raw(), tensor.raw(), static_cast<size_t>(tensor.bytes())), 0) << name;
  }
}

TEST_F(Safetensors, bytes_follow_the_published_format) {
  TensorFile file;
  file.tensors["x"] = Tensor::from(std::vector<float>{1.0f, -2.0f}, {2});
  write_safetensors(path_, file);
  const std::string header = R"({"x":{"data_offsets":[0,8],"dtype":"F32","shape":[2]}})";
  const size_t padded = (header.size() + 7) / 8 * 8;
  std::string expected(8, '\0');
  expected[0] = static_cast<char>(padded);
  expected += header + std::string(padded - header.size(), ' ');
  expected += std::string("\x00\x00\x80\x3F\x00\x00\x00\xC0", 8);  // 1.0f and -2.0f, little-endian
  EXPECT_EQ(bytes(), expected);
}

TEST_F(Safetensors, wide_types_become_ours_when_their_values_fit) {
  const double pi = 3.14159265358979;
  const int64_t count = -123456789;
  put_header(
      R"({"d":{"dtype":"F64","shape":[],"data_offsets":[0,8]},"n":{"dtype":"I64","shape":[],"data_offsets":[8,16]}})",
      0);
  std::string file = bytes();
  file.append(reinterpret_cast<const char*>(&pi), 8).append(reinterpret_cast<const char*>(&count), 8);
  put(file);
  const TensorFile read = read_safetensors(path_);
  EXPECT_EQ(read.tensors.at("d").data<float>()[0], static_cast<float>(pi));
  EXPECT_EQ(read.tensors.at("n").data<int32_t>()[0], count);

  const int64_t too_large = int64_t{1} << 31;
  file.replace(file.size() - 8, 8, reinterpret_cast<const char*>(&too_large), 8);
  put(file);
  EXPECT_EQ(refusal(), "\"n\": 2147483648 does not fit 32 bits");
}

TEST_F(Safetensors, gaps_and_trailing_bytes_are_refused) {
  put_header(R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}})", 4);
  EXPECT_EQ(refusal(), "bytes 0 to 3 of the data belong to no tensor");
  put_header(R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 9);
  EXPECT_EQ(refusal(), "bytes 1 to 9 of the data belong to no tensor");
}

TEST_F(Safetensors, truncation_at_every_byte_is_refused) {
  write_safetensors(path_, small_file());
  const std::string whole = bytes();
  for (size_t length = 0; length < whole.size(); ++length) {
    put(whole.substr(0, length));
    EXPECT_NE(refusal(), "accepted") << length << " of " << whole.size() << " bytes";
  }
}

TEST_F(Safetensors, every_bit_flip_in_the_header_is_refused_or_reads_within_the_file) {
  write_safetensors(path_, small_file());
  const std::string whole = bytes();
  uint64_t header = 0;
  std::memcpy(&header, whole.data(), 8);
  for (size_t bit = 0; bit < 8 * (8 + header); ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    put(flipped);
    try {
      int64_t total = 0;
      for (const auto& [name, tensor] : read_safetensors(path_).tensors) total += tensor.bytes();
      EXPECT_LE(total, static_cast<int64_t>(whole.size()));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data) << error.what();
    }
  }
}

TEST_F(Safetensors, random_bytes_are_refused) {
  for (uint32_t file = 0; file < 500; ++file) {
    std::string noise(8 + file % 97, '\0');
    for (size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<char>(philox({.seed = 5, .step = file}, i).v[0]);
    // Half of them with a header length that fits, so that the JSON parser sees the noise.
    if (file % 2) std::memset(noise.data() + 1, 0, 7), noise[0] = static_cast<char>(noise.size() - 8);
    put(noise);
    EXPECT_NE(refusal(), "accepted");
  }
}

TEST_F(Safetensors, each_fault_of_a_header_has_its_own_message) {
  const struct {
    std::string header, message;
  } cases[] = {
      {"[]", "not a safetensors file: the header is not a JSON object"},
      {"{\"x\":", "not a safetensors file: its header is not JSON at byte 6"},
      {std::string(1000, '['), "the header is nested too deep"},
      {R"({"x":1e999})", "not a safetensors file: its header has a number that 64 bits do not hold"},
      {R"({"x":1})", "\"x\" has not exactly the fields dtype, shape and data_offsets"},
      {R"({"x":{"dtype":"F32","shape":[1]}})", "\"x\" has not exactly the fields dtype, shape and data_offsets"},
      {R"({"x":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}})", "\"x\": dtype \"C64\" is not supported"},
      {"{\"x\":{\"dtype\":\"F\x7F\",\"shape\":[1],\"data_offsets\":[0,8]}}", "\"x\": dtype \"F?\" is not supported"},
      {R"({"x":{"dtype":7,"shape":[1],"data_offsets":[0,8]}})", "\"x\": dtype 7 is not supported"},
      {R"({"x":{"dtype":"F32","shape":4,"data_offsets":[0,4]}})",
       "\"x\": the shape is not a list of at most 6 extents"},
      {R"({"x":{"dtype":"F32","shape":[1,1,1,1,1,1,1],"data_offsets":[0,4]}})",
       "\"x\": the shape is not a list of at most 6 extents"},
      {R"({"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "\"x\": -1 is not an extent"},
      {R"({"x":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})", "\"x\": 1.5 is not an extent"},
      {R"({"x":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]}})",
       "\"x\": 18446744073709551615 is not an extent"},
      {R"({"x":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}})",
       "\"x\": the shape [4294967296,4294967296] overflows"},
      {R"({"x":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}})",
       "\"x\": the shape [4611686018427387904] overflows"},  // count * 4 is 0 modulo 2^64
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})",
       "\"x\": data_offsets [4, 0) are outside the 16 bytes of data (truncated?)"},
      {R"({"x":{"dtype":"U8","shape":[17],"data_offsets":[0,17]}})",
       "\"x\": data_offsets [0, 17) are outside the 16 bytes of data (truncated?)"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[16,20]}})",
       "\"x\": data_offsets [16, 20) are outside the 16 bytes of data (truncated?)"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,-4]}})", "\"x\": data_offsets are not two positions"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", "\"x\": data_offsets are not two positions"},
      {R"({"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", "\"x\": F32 [3] does not fill 8 bytes"},
      {R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"y":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
       "\"x\" and \"y\" overlap"},
      {R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"x":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
       "two tensors have the name \"x\""},
      {R"({"__metadata__":{"epoch":3}})", "__metadata__ \"epoch\" is not a string"},
      {R"({"__metadata__":[]})", "__metadata__ is not an object"},
      {"{\"line\\nbreak\":0}", "\"line\\nbreak\" has not exactly the fields dtype, shape and data_offsets"},
  };
  for (const auto& [header, message] : cases) {
    put_header(header, 16);
    EXPECT_EQ(refusal(), message) << header;
  }
}

TEST_F(Safetensors, a_header_length_beyond_the_file_or_the_cap_is_refused_without_allocating_it) {
  put(std::string(8, '\xFF') + "{}");
  EXPECT_EQ(refusal(), "not a safetensors file: its first 8 bytes are no length of a header, which is at most 16 MiB");
  put(std::string("\x03\0\0\0\0\0\0\0{}", 10));
  EXPECT_EQ(refusal(), "not a safetensors file, or truncated: a header of 3 bytes in a file of 10");
  put_header("{}", 0);
  const uint64_t large = 1 << 30;
  std::string file = bytes();
  std::memcpy(file.data(), &large, 8);
  put(file);
  ASSERT_EQ(truncate(path_.c_str(), int64_t{2} << 30), 0);  // sparse: two gigabytes that take no space
  EXPECT_EQ(refusal(), "not a safetensors file: its first 8 bytes are no length of a header, which is at most 16 MiB");
}

TEST_F(Safetensors, a_missing_file_and_a_folder_are_refused) {
  EXPECT_EQ(refusal(), "no such file");
  fs::create_directory(path_);
  EXPECT_EQ(refusal(), "not a file");
}

TEST_F(Safetensors, writing_replaces_the_old_file_and_leaves_nothing_else) {
  write_safetensors(path_, small_file());
  TensorFile file;
  file.tensors["new"] = Tensor::zeros({5});
  write_safetensors(path_, file);
  EXPECT_EQ(read_safetensors(path_).tensors.size(), 1u);
  EXPECT_EQ(files_in_folder(), 1u);
}

TEST_F(Safetensors, a_failed_write_keeps_the_old_file_and_removes_the_temporary_one) {
  write_file_atomically(path_, "old");
  // The disk is full: no file of this process may grow beyond 1000 bytes.
  rlimit previous{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &previous), 0);
  const auto previous_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit full = previous;
  full.rlim_cur = 1000;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
  std::string message = "written";
  try {
    write_file_atomically(path_, std::string(5000, 'x'));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::io);
    message = error.what();
  }
  setrlimit(RLIMIT_FSIZE, &previous);
  std::signal(SIGXFSZ, previous_handler);
  EXPECT_EQ(message, path_.string() + ": cannot be written: File too large");
  EXPECT_EQ(bytes(), "old");
  EXPECT_EQ(files_in_folder(), 1u);
}

TEST_F(Safetensors, writing_into_a_missing_folder_or_over_a_device_is_an_io_error) {
  const auto kind_of_writing_to = [](const fs::path& path) {
    try {
      write_file_atomically(path, "x");
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::internal;
  };
  EXPECT_EQ(kind_of_writing_to(folder_ / "missing" / "w"), ErrorKind::io);
  EXPECT_EQ(kind_of_writing_to(folder_), ErrorKind::io);
  const fs::path fifo = folder_ / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(kind_of_writing_to(fifo), ErrorKind::io);
  EXPECT_TRUE(fs::is_fifo(fifo));
}

TEST_F(Safetensors, a_written_file_has_the_usual_permissions) {
  const mode_t mask = umask(022);
  write_file_atomically(path_, "x");
  umask(mask);
  struct stat status {};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0644u);
}

}  // namespace
}  // namespace convoy
