// What the data tests share: a temporary folder, small files in the formats that Convoy reads, and the
// message of an expected error.
#pragma once

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>
#include <vector>

#include "tensor/error.h"

namespace convoy {

using Bytes = std::vector<uint8_t>;

// A folder of the test's own, removed with all it holds at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "convoy_data_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

  // Writes a file, with the folders above it.
  std::filesystem::path write(const std::string& name, const Bytes& bytes) const {
    const std::filesystem::path file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return file;
  }

 private:
  std::filesystem::path path_;
};

// Sets an environment variable for a scope; nullptr unsets it.
class EnvironmentVariable {
 public:
  EnvironmentVariable(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) {
      old_ = old;
      was_set_ = true;
    }
    value == nullptr ? unsetenv(name) : setenv(name, value, 1);
  }
  ~EnvironmentVariable() { was_set_ ? setenv(name_, old_.c_str(), 1) : unsetenv(name_); }
  EnvironmentVariable(const EnvironmentVariable&) = delete;
  EnvironmentVariable& operator=(const EnvironmentVariable&) = delete;

 private:
  const char* name_;
  std::string old_;
  bool was_set_ = false;
};

inline Bytes gzip(const Bytes& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);  // + 16: a gzip wrapper
  Bytes out(deflateBound(&stream, bytes.size()) + 32);
  stream.next_in = const_cast<uint8_t*>(bytes.data());
  stream.avail_in = static_cast<unsigned>(bytes.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<unsigned>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// Bytes that look like nothing in particular, the same on every call.
inline Bytes pattern(size_t count, uint32_t seed = 1) {
  Bytes bytes(count);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>((seed = seed * 1664525u + 1013904223u) >> 24);
  return bytes;
}

inline Bytes join(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

// An IDX header of unsigned bytes.
inline Bytes idx_header(std::initializer_list<uint32_t> extents) {
  Bytes header{0, 0, 8, static_cast<uint8_t>(extents.size())};
  for (const uint32_t extent : extents) {
    for (const int shift : {24, 16, 8, 0}) header.push_back(static_cast<uint8_t>(extent >> shift));
  }
  return header;
}

// A CIFAR-10 record of a label and a pattern.
inline Bytes cifar_record(uint8_t label, uint32_t seed) { return join({{label}, pattern(3072, seed)}); }

// One tar entry: a ustar header with the right checksum and the content, padded.
inline Bytes tar_entry(const std::string& name, const Bytes& content, char type = '0') {
  Bytes header(512, 0);
  const auto put = [&](size_t offset, const std::string& text) {
    std::copy(text.begin(), text.end(), header.begin() + static_cast<long>(offset));
  };
  put(0, name);
  put(100, "0000644");
  put(124, fmt::format("{:011o}", content.size()));
  put(148, "        ");
  header[156] = static_cast<uint8_t>(type);
  put(257, std::string("ustar\00000", 8));
  int sum = 0;
  for (const uint8_t byte : header) sum += byte;
  put(148, fmt::format("{:06o}", sum));
  header[154] = 0;
  Bytes entry = join({header, content});
  entry.resize((entry.size() + 511) / 512 * 512);
  return entry;
}
inline Bytes tar_end() { return Bytes(1024, 0); }

// The message of the Error(kind) that `call` throws, or a text that no test expects.
template <class Call>
std::string error_of(Call&& call, ErrorKind kind = ErrorKind::data) {
  try {
    call();
  } catch (const Error& error) {
    if (error.kind() != kind)
      return fmt::format("(an error of kind {}) {}", static_cast<int>(error.kind()), error.what());
    if (std::string(error.what()).find('\n') != std::string::npos) return "(an error of several lines)";
    return error.what();
  }
  return "(no error)";
}

inline ::testing::AssertionResult contains(const std::string& text, std::initializer_list<std::string> parts) {
  for (const std::string& part : parts) {
    if (text.find(part) == std::string::npos)
      return ::testing::AssertionFailure() << "no '" << part << "' in: " << text;
  }
  return ::testing::AssertionSuccess();
}

}  // namespace convoy
