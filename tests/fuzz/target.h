// Parsers of input that nobody vouches for, and what is promised of them, checked on any bytes at all:
//
//   - input is taken or refused: no crash, no hang, no exception but convoy::Error of the kind and the number of lines that
//     the target tells, without control characters;
//   - memory stays in proportion: at most twice the input's size (three times what it inflates to, where it is gzip) and 16 MiB, for
//     inputs of a few KiB, so that nothing is allocated for what they declare but do not hold;
//   - what is taken is consistent, as the target's own file says.
//
// README.md tells how to run them, and how a target is added.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "tensor/error.h"

namespace convoy::fuzz {

struct Target {
  const char* name;                     // also that of its folder in corpus/
  void (*run)(std::string_view input);  // throws what the parser throws
  ErrorKind refusal = ErrorKind::data;
  int message_lines = 1;
};

std::span<const Target> target_table();
const Target& find_target(std::string_view name);  // throws unknown_name

// Gives the input to the target and returns the message with which it is refused; empty when it is taken. Aborts, with
// the reason on stderr, when a promise is broken.
std::string check_input(const Target& target, std::string_view input);

// Of what is taken: aborts with `what` unless `condition` holds.
void require(bool condition, const char* what);

}  // namespace convoy::fuzz
