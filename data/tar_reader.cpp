#include "data/tar_reader.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "tensor/error.h"

namespace convoy {
namespace {

constexpr int64_t kBlock = 512;
using Block = std::array<uint8_t, kBlock>;

// Header fields by offset and length.
struct Field {
  size_t offset, length;
};
constexpr Field kName{0, 100}, kSize{124, 12}, kChecksum{148, 8}, kPrefix{345, 155};
constexpr size_t kTypeOffset = 156, kMagicOffset = 257;

// Names go into one-line messages, so control characters are replaced.
std::string text_field(const Block& block, Field field) {
  const char* begin = reinterpret_cast<const char*>(block.data()) + field.offset;
  return printable({begin, strnlen(begin, field.length)});
}

// An octal number, padded with spaces and ended by a space, a zero or the end of the field; -1 for anything
// else.
int64_t octal_field(const Block& block, Field field) {
  const uint8_t *at = block.data() + field.offset, *end = at + field.length;
  while (at < end && *at == ' ') ++at;
  if (at == end || *at < '0' || *at > '7') return -1;
  int64_t value = 0;
  for (; at < end && *at >= '0' && *at <= '7'; ++at) value = value * 8 + (*at - '0');
  return at == end || *at == ' ' || *at == 0 ? value : -1;
}

// The sum of the header's bytes, those of the checksum field itself counted as spaces.
int64_t checksum(const Block& block) {
  int64_t sum = 0;
  for (size_t i = 0; i < block.size(); ++i) {
    const bool own = i >= kChecksum.offset && i < kChecksum.offset + kChecksum.length;
    sum += own ? ' ' : block[i];
  }
  return sum;
}

}  // namespace

std::optional<TarReader::Entry> TarReader::next() {
  const std::string path = reader_.path().string();
  while (true) {
    skip(unread_);
    Block block;
    const int64_t got = reader_.read(block.data(), kBlock);
    if (got < kBlock)
      fail(ErrorKind::data, "{}: the tar archive is cut short after '{}'; get the file again", path, entry_.name);
    if (std::all_of(block.begin(), block.end(), [](uint8_t byte) { return byte == 0; })) return std::nullopt;
    if (octal_field(block, kChecksum) != checksum(block)) {
      fail(ErrorKind::data, "{}: not a tar archive, or damaged after '{}': checksum {} in the header, {} expected",
           path, entry_.name, octal_field(block, kChecksum), checksum(block));
    }
    entry_.name = text_field(block, kName);
    if (std::memcmp(block.data() + kMagicOffset, "ustar", 6) == 0 && block[kPrefix.offset] != 0) {
      entry_.name = text_field(block, kPrefix) + "/" + entry_.name;
    }
    entry_.bytes = octal_field(block, kSize);
    if (entry_.bytes < 0) fail(ErrorKind::data, "{}: the size of '{}' is not an octal number", path, entry_.name);
    unread_ = (entry_.bytes + kBlock - 1) / kBlock * kBlock;
    const char type = static_cast<char>(block[kTypeOffset]);
    if (type == '0' || type == 0) return entry_;
  }
}

std::vector<uint8_t> TarReader::read_content() {
  std::vector<uint8_t> content = reader_.read_up_to(entry_.bytes);
  const int64_t have = static_cast<int64_t>(content.size());
  if (have < entry_.bytes) {
    fail(ErrorKind::data, "{}: the tar archive is cut short in '{}', {} of {} bytes; get the file again",
         reader_.path().string(), entry_.name, have, entry_.bytes);
  }
  unread_ -= have;
  return content;
}

void TarReader::skip(int64_t bytes) {
  Block block;
  for (; bytes > 0; bytes -= kBlock) {
    const int64_t wanted = std::min(bytes, kBlock);
    if (reader_.read(block.data(), wanted) < wanted) {
      fail(ErrorKind::data, "{}: the tar archive is cut short in '{}'; get the file again", reader_.path().string(),
           entry_.name);
    }
  }
}

}  // namespace convoy
