// What a process can tell about the job it was started for from its environment alone, before it joins. There are two
// kinds of job:
//
//   mpirun, srun   set variables of their own (Open MPI's, MPICH's, Slurm's); ranks are joined by MPI
//   anyone else    sets for each process RANK and WORLD_SIZE, and MASTER_ADDR and MASTER_PORT, where rank 0 is to be met
//                  over TCP; may set LOCAL_RANK and LOCAL_WORLD_SIZE, which and how many of these are on this host
//
// The first kind goes before the second. torchrun sets the second kind's variables; its agent may itself listen at
// MASTER_PORT, and then sets TORCHELASTIC_USE_AGENT_STORE=True: ranks then meet at MASTER_PORT + 1.
//
// All functions throw Error(usage) when the second kind's variables are set in part, or make no sense.
#pragma once

#include <optional>
#include <string>

#include "parallel/rendezvous.h"

namespace convoy {

// Ranks that were started together, this one included; 1: none but this.
int started_ranks();

// Which of them this is; 0 when it is alone.
int started_rank();

// Who says so: "mpirun or srun has started", "WORLD_SIZE says"; empty when nobody does. WORLD_SIZE may say 1.
std::string started_by();

// Which rank of those on this host this is: as the environment says, else started_rank().
int local_rank();

// How many of a job's `ranks` share this host: as the environment says, else all.
int ranks_on_this_host(int ranks);

// Where the ranks of a job of the second kind meet, and which this is; none for the first kind, and when alone.
std::optional<tcp::MeetingPoint> meeting_point();

}  // namespace convoy
