# Writes OUTPUT, a source that defines kCommit (apps/commit.h), when the commit of SOURCE has changed since.
#   cmake -DSOURCE=<folder> -DOUTPUT=<file> -P commit.cmake
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=7 --match=
                OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(commit "")
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT [[
#include "apps/commit.h"

namespace convoy {
const char* const kCommit = "@commit@";
}
]] @ONLY)
