// What this machine is: for `convoy info` and the header of a run.
#pragma once

#include <cstdint>
#include <string>

namespace convoy {

std::string cpu_name();  // "Intel(R) Xeon(R) …", or "unknown CPU"
double load_average();   // programs that were running or wanted to, on average over the last minute

}  // namespace convoy
