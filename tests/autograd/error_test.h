// EXPECT_USAGE_ERROR(statement, text): the statement throws Error(usage) whose message contains the text.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tensor/error.h"

#define EXPECT_USAGE_ERROR(statement, text)                                                                   \
  try {                                                                                                       \
    statement;                                                                                                \
    ADD_FAILURE() << "no error from " #statement;                                                             \
  } catch (const ::convoy::Error& error) {                                                                    \
    EXPECT_EQ(error.kind(), ::convoy::ErrorKind::usage);                                                      \
    EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << "the message is: " << error.what(); \
  }                                                                                                           \
  static_assert(true, "the macro wants a semicolon")
