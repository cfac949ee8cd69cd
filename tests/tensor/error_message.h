// The message and kind of the convoy::Error that an action throws.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tensor/error.h"

namespace convoy {

// The error thrown by action(); fails the test when none is.
template <class Action>
Error error_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error was thrown";
  return Error(ErrorKind::internal, "none");
}

}  // namespace convoy
