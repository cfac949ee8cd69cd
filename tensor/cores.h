// The cores that this process may use, and which of them a thread is to stay on.
#pragma once

namespace convoy {

// How many cores the calling thread may run on.
int available_cores();

// Has the user bound OpenMP's threads to cores?
bool openmp_is_bound();

// Keeps the calling thread, and those that it will start, on the index-th of `shares` equal parts of the cores that it may
// run on: threads that wait for each other at every layer lose less when none is moved on top of another. Leaves it where it is when
// a part would have fewer than `threads` cores, or where openmp_is_bound().
void keep_to_share_of_cores(int index, int shares, int threads);

}  // namespace convoy
