#include "tensor/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "tensor/atomic_file.h"

namespace convoy {
namespace {

using Json = nlohmann::json;
static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kLargestHeader = 16 << 20;  // bytes: room for 100 000 tensors; bounds what parsing may allocate
constexpr int kDeepestHeader = 2;              // {"name": {"shape": [

// How a dtype of the format is read: element by element into one of ours.
struct FileType {
  const char* name;
  int64_t bytes;  // of one element in the file
  DType dtype;    // in memory
};
constexpr FileType kFileTypes[] = {{"F32", 4, DType::f32}, {"BF16", 2, DType::bf16}, {"F16", 2, DType::f16},
                                   {"I32", 4, DType::i32}, {"U8", 1, DType::u8},     {"F64", 8, DType::f32},
                                   {"I64", 8, DType::i32}};

const FileType& file_type_of(DType dtype) {
  return *std::find_if(std::begin(kFileTypes), std::end(kFileTypes),
                       [&](const FileType& type) { return type.dtype == dtype; });
}

// A tensor as the header tells it, checked: its bytes are [begin, end) of the data and fill its shape
// exactly.
struct Entry {
  std::string name;
  const FileType* type;
  Shape shape;
  uint64_t begin, end;
};

// A name from the file, in quotes and with control characters escaped.
std::string quoted(const std::string& name) { return Json(name).dump(); }

class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : path_(path.string()) {}
  TensorFile read();

 private:
  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw Error(ErrorKind::data,
                fmt::format("{}: {}", path_, printable(fmt::format(format, std::forward<Args>(args)...))));
  }
  void read_bytes(void* out, uint64_t count);
  Json read_header(uint64_t length);
  Entry check_entry(const std::string& name, const Json& fields, uint64_t data_bytes) const;
  Shape check_shape(const std::string& name, const Json& extents) const;
  void check_coverage(const std::vector<Entry>& entries, uint64_t data_bytes) const;
  Tensor read_tensor(const Entry& entry, uint64_t data_start);
  template <class From, class To>
  Tensor read_converted(const Entry& entry);

  std::string path_;
  std::ifstream in_;
};

void Reader::read_bytes(void* out, uint64_t count) {
  in_.read(static_cast<char*>(out), static_cast<std::streamsize>(count));
  if (!in_) fail("cannot be read: {} of {} bytes", in_.gcount(), count);
}

Json Reader::read_header(uint64_t length) {
  std::string text(length, '\0');
  read_bytes(text.data(), length);
  std::set<std::string> names;
  const auto check = [&](int depth, Json::parse_event_t event, Json& parsed) {
    using Event = Json::parse_event_t;
    if ((event == Event::object_start || event == Event::array_start) && depth > kDeepestHeader)
      fail("the header is nested too deep");
    if (event == Event::key && depth == 1 && !names.insert(parsed.get<std::string>()).second)
      fail("two tensors have the name {}", parsed.dump());
    return true;
  };
  Json header;
  try {
    header = Json::parse(text, check);
  } catch (const Json::parse_error& error) {
    fail("not a safetensors file: its header is not JSON at byte {}", error.byte);
  } catch (const Json::out_of_range&) {
    fail("not a safetensors file: its header has a number that 64 bits do not hold");
  }
  if (!header.is_object()) fail("not a safetensors file: the header is not a JSON object");
  return header;
}

Shape Reader::check_shape(const std::string& name, const Json& extents) const {
  if (!extents.is_array() || extents.size() > Shape::kMaxRank)
    fail("{}: the shape is not a list of at most {} extents", quoted(name), Shape::kMaxRank);
  std::vector<int64_t> values;
  int64_t count = 1;
  for (const Json& extent : extents) {
    constexpr uint64_t kLargest = std::numeric_limits<int64_t>::max();
    if (!extent.is_number_unsigned() || extent.get<uint64_t>() > kLargest)
      fail("{}: {} is not an extent", quoted(name), extent.dump());
    values.push_back(extent.get<int64_t>());
    if (__builtin_mul_overflow(count, values.back(), &count) || count > Shape::kMaxCount)
      fail("{}: the shape {} overflows", quoted(name), extents.dump());
  }
  return Shape(values);
}

Entry Reader::check_entry(const std::string& name, const Json& fields, uint64_t data_bytes) const {
  if (!fields.is_object() || fields.size() != 3 || !fields.contains("dtype") || !fields.contains("shape") ||
      !fields.contains("data_offsets"))
    fail("{} has not exactly the fields dtype, shape and data_offsets", quoted(name));
  const Json &dtype = fields["dtype"], &offsets = fields["data_offsets"];
  const auto* type = std::find_if(std::begin(kFileTypes), std::end(kFileTypes),
                                  [&](const FileType& candidate) { return dtype == candidate.name; });
  if (type == std::end(kFileTypes)) fail("{}: dtype {} is not supported", quoted(name), dtype.dump());
  if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
      !offsets[1].is_number_unsigned())
    fail("{}: data_offsets are not two positions", quoted(name));
  Entry entry{name, type, check_shape(name, fields["shape"]), offsets[0].get<uint64_t>(), offsets[1].get<uint64_t>()};
  if (entry.begin > entry.end || entry.end > data_bytes)
    fail("{}: data_offsets [{}, {}) are outside the {} bytes of data (truncated?)", quoted(name), entry.begin,
         entry.end, data_bytes);
  if (static_cast<uint64_t>(entry.shape.count() * type->bytes) != entry.end - entry.begin)
    fail("{}: {} {} does not fill {} bytes", quoted(name), type->name, entry.shape, entry.end - entry.begin);
  return entry;
}

// The format wants the data covered exactly: tensors one behind the other, no holes, nothing after the last.
void Reader::check_coverage(const std::vector<Entry>& entries, uint64_t data_bytes) const {
  std::vector<const Entry*> sorted;
  for (const Entry& entry : entries)
    if (entry.begin < entry.end) sorted.push_back(&entry);
  std::sort(sorted.begin(), sorted.end(), [](const Entry* a, const Entry* b) { return a->begin < b->begin; });
  uint64_t covered = 0;
  for (size_t i = 0; i < sorted.size(); ++i) {
    if (sorted[i]->begin < covered) fail("{} and {} overlap", quoted(sorted[i - 1]->name), quoted(sorted[i]->name));
    if (sorted[i]->begin > covered) fail("bytes {} to {} of the data belong to no tensor", covered, sorted[i]->begin);
    covered = sorted[i]->end;
  }
  if (covered < data_bytes) fail("bytes {} to {} of the data belong to no tensor", covered, data_bytes);
}

template <class From, class To>
Tensor Reader::read_converted(const Entry& entry) {
  Tensor tensor = Tensor::empty(entry.shape, entry.type->dtype, Device{});
  std::vector<From> values(static_cast<size_t>(tensor.count()));
  read_bytes(values.data(), values.size() * sizeof(From));
  To* out = tensor.data<To>();
  for (const From value : values) {
    if constexpr (std::is_integral_v<From>)
      if (static_cast<From>(static_cast<To>(value)) != value)
        fail("{}: {} does not fit 32 bits", quoted(entry.name), value);
    *out++ = static_cast<To>(value);
  }
  return tensor;
}

Tensor Reader::read_tensor(const Entry& entry, uint64_t data_start) {
  in_.seekg(static_cast<std::streamoff>(data_start + entry.begin));
  if (entry.type->bytes == size_in_bytes(entry.type->dtype)) {
    Tensor tensor = Tensor::empty(entry.shape, entry.type->dtype, Device{});
    if (tensor.count() > 0) read_bytes(tensor.raw(), entry.end - entry.begin);
    return tensor;
  }
  return entry.type->dtype == DType::f32 ? read_converted<double, float>(entry)
                                         : read_converted<int64_t, int32_t>(entry);
}

TensorFile Reader::read() {
  std::error_code error;
  if (!std::filesystem::exists(path_, error)) fail("no such file");
  if (!std::filesystem::is_regular_file(path_, error)) fail("not a file");
  const uint64_t file_bytes = std::filesystem::file_size(path_, error);
  in_.open(path_, std::ios::binary);
  if (error || !in_) fail("cannot be opened");

  if (file_bytes < kLengthBytes) fail("not a safetensors file: {} bytes, too short for its header length", file_bytes);
  uint64_t header_bytes = 0;
  read_bytes(&header_bytes, kLengthBytes);
  if (header_bytes > kLargestHeader)
    fail("not a safetensors file: its first {} bytes are no length of a header, which is at most {} MiB", kLengthBytes,
         kLargestHeader >> 20);
  if (header_bytes > file_bytes - kLengthBytes)
    fail("not a safetensors file, or truncated: a header of {} bytes in a file of {}", header_bytes, file_bytes);

  const Json header = read_header(header_bytes);
  const uint64_t data_start = kLengthBytes + header_bytes;
  TensorFile file;
  std::vector<Entry> entries;
  for (const auto& [name, fields] : header.items()) {
    if (name != "__metadata__") {
      entries.push_back(check_entry(name, fields, file_bytes - data_start));
      continue;
    }
    if (!fields.is_object()) fail("__metadata__ is not an object");
    for (const auto& [key, value] : fields.items()) {
      if (!value.is_string()) fail("__metadata__ {} is not a string", quoted(key));
      file.metadata[key] = value.get<std::string>();
    }
  }
  check_coverage(entries, file_bytes - data_start);
  for (const Entry& entry : entries) file.tensors[entry.name] = read_tensor(entry, data_start);
  return file;
}

}  // namespace

bool begins_like_safetensors(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  uint64_t header_bytes = 0;
  char first = 0;
  in.read(reinterpret_cast<char*>(&header_bytes), kLengthBytes).get(first);
  return in && header_bytes <= kLargestHeader && first == '{';
}

TensorFile read_safetensors(const std::filesystem::path& path) { return Reader(path).read(); }

std::string safetensors_bytes(const TensorFile& file) {
  Json header = Json::object();
  if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
  int64_t offset = 0;
  for (const auto& [name, tensor] : file.tensors) {
    const auto extents = tensor.shape().extents();
    header[name] = {{"dtype", file_type_of(tensor.dtype()).name},
                    {"shape", std::vector<int64_t>(extents.begin(), extents.end())},
                    {"data_offsets", {offset, offset + tensor.bytes()}}};
    offset += tensor.bytes();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the data is aligned, as the reference writer does

  std::string bytes(kLengthBytes, '\0');
  const uint64_t length = text.size();
  std::memcpy(bytes.data(), &length, kLengthBytes);
  bytes.reserve(kLengthBytes + text.size() + static_cast<size_t>(offset));
  bytes += text;
  for (const auto& [name, tensor] : file.tensors) {
    const Tensor host = tensor.to(Device{});
    if (host.count() > 0) bytes.append(reinterpret_cast<const char*>(host.raw()), static_cast<size_t>(host.bytes()));
  }
  return bytes;
}

void write_safetensors(const std::filesystem::path& path, const TensorFile& file) {
  write_file_atomically(path, safetensors_bytes(file));
}

}  // namespace convoy
