#include "tests/fuzz/target.h"

#include <zlib.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tensor/find_row.h"
#include "tests/fuzz/allocation.h"

namespace convoy::fuzz {
namespace {

constexpr size_t kAllowance = size_t{16} << 20;  // bytes

// What zlib finds in the input, up to where that is damaged; 0 when it is no gzip.
size_t inflated_bytes(std::string_view input) {
  if (!input.starts_with("\x1f\x8b")) return 0;
  z_stream stream{};
  if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) return 0;
  static unsigned char out[1 << 16];
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
  stream.avail_in = static_cast<uInt>(input.size());
  size_t bytes = 0;
  for (int code = Z_OK; code == Z_OK;) {
    stream.next_out = out;
    stream.avail_out = sizeof out;
    code = inflate(&stream, Z_NO_FLUSH);
    bytes += sizeof out - stream.avail_out;
    // Another member may follow.
    if (code == Z_STREAM_END && stream.avail_in > 0) code = inflateReset(&stream);
  }
  inflateEnd(&stream);
  return bytes;
}

void check_message(const Target& target, const Error& error) {
  const std::string message = error.what();
  if (error.kind() != target.refusal) {
    std::fprintf(stderr, "fuzz: %s: an Error of kind %d: %s\n", target.name, static_cast<int>(error.kind()),
                 message.c_str());
    std::abort();
  }
  const auto breaks = std::ranges::count(message, '\n');
  const auto controls = std::ranges::count_if(message, [](unsigned char byte) { return byte < ' ' || byte == 0x7F; });
  if (breaks != target.message_lines - 1 || controls != breaks || message.empty()) {
    std::fprintf(stderr, "fuzz: %s: a message of not %d lines, or with control characters: %s\n", target.name,
                 target.message_lines, message.c_str());
    std::abort();
  }
}

}  // namespace

const Target& find_target(std::string_view name) { return find_row("target", name, target_table()); }

std::string check_input(const Target& target, std::string_view input) {
  const AllocationLimit limit(kAllowance + std::max(2 * input.size(), 3 * inflated_bytes(input)));
  std::string message;
  try {
    target.run(input);
  } catch (const Error& error) {
    check_message(target, error);
    message = error.what();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fuzz: %s: an exception that is no convoy::Error: %s\n", target.name, error.what());
    std::abort();
  }
  return message;
}

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "fuzz: not so: %s\n", what);
  std::abort();
}

}  // namespace convoy::fuzz
