// Which commit this program was built from.
#pragma once

namespace convoy {

// "1a2b3c4", with "-dirty" behind it when sources differed from it; empty when git did not know.
extern const char* const kCommit;

}  // namespace convoy
