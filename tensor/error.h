// What went wrong, in one line, and the exit code it deserves.
//
//   CHECK(x.rank() == 4, "conv2d: input {} is not [N,H,W,C]", x.shape());   // throws Error(usage)
//   fail(ErrorKind::data, "{}: truncated, {} of {} bytes", path, have, want);
//
// Every message reads `<operation or file>: <what is wrong, with the values>`. Libraries throw; only main()
// catches, prints the line and exits with the code of the kind.
#pragma once

#include <fmt/format.h>

#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace convoy {

// The value is the exit code of the `convoy` command; docs and `convoy --help` print this list.
enum class ErrorKind {
  internal = 1,  // a defect in Convoy
  usage = 2,     // an option, name, shape or description that makes no sense
  data = 3,      // a data set or weight file that is missing, damaged or does not fit
  numeric = 4,   // the loss or a tensor is no longer finite
  io = 5,        // a file that cannot be written
  device = 6,    // a device that is missing or out of memory
  peer = 7,      // another process of a parallel training is gone, or differs from this one
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

// A device's memory is used up; smaller batches may fit.
class OutOfMemory : public Error {
 public:
  explicit OutOfMemory(const std::string& message) : Error(ErrorKind::device, message) {}
};

template <class... Args>
[[noreturn]] void fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

// A text from outside as a message may quote it: control characters, line breaks among them, become '?'.
std::string printable(std::string_view text);

// The known name closest to `given` by edit distance, or "" when none is near enough to be a typing error.
std::string nearest_name(std::string_view given, std::span<const std::string> known);

// The error for a name that is not in a table:
// "unknown model 'resnt18', did you mean 'resnet18'? Known: lenet5, resnet18".
Error unknown_name(std::string_view what, std::string_view given, std::span<const std::string> known);

}  // namespace convoy

// Checks an argument at the API boundary; throws Error(usage) with the formatted message.
#define CHECK(condition, ...)                                                  \
  do {                                                                         \
    if (!(condition)) ::convoy::fail(::convoy::ErrorKind::usage, __VA_ARGS__); \
  } while (false)
