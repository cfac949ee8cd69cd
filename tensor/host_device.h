// CONVOY_HOST_DEVICE marks functions that kernels of a GPU call as well.
#pragma once

#ifdef __CUDACC__
#define CONVOY_HOST_DEVICE __host__ __device__
#else
#define CONVOY_HOST_DEVICE
#endif
