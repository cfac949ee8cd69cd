// Help and other prose as it fits the terminal.
#pragma once

#include <cstddef>
#include <string>

namespace convoy {

// The width of the terminal that stdout is, at most 100; 80 where it is none or does not tell.
size_t help_columns();

// `text` with its lines broken at spaces, so that they have at most `columns` columns (bytes) as far as words allow.
// What follows a broken line begins where its last column begins, that is, behind its last two spaces in a row:
//
//   --lr X [0.001]    the learning rate; a long
//                     description goes on here
//
// An option stays with the word behind it, which may be its value.
std::string wrapped(const std::string& text, size_t columns);

// The same where stdout is a terminal of known width; elsewhere, where programs may read it line by line, `text` as it
// is.
std::string wrapped_on_terminal(const std::string& text);

}  // namespace convoy
