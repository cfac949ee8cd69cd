// What a process can tell about the job it was started for from its environment alone, before it joins: as mpirun
// (Open MPI, MPICH) and srun set it.
#pragma once

namespace convoy {

// Ranks that were started together, this one included; 1: none but this.
int started_ranks();

// Which of them this is; 0 when it is alone.
int started_rank();

// Which of those on this host this is; 0 when the environment does not say.
int local_rank();

// How many of a job's `ranks` share this host: as the environment says, else all.
int ranks_on_this_host(int ranks);

}  // namespace convoy
