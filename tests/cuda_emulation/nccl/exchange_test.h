// What ranks do with each other in test_nccl_processes.cpp, each in a process of its own, and their id as text.
#pragma once

#include <nccl.h>

#include <string>
#include <vector>

namespace convoy::emulation {

inline std::string text_of(const ncclUniqueId& id) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : id.internal) {
    text += kDigits[static_cast<unsigned char>(c) >> 4];
    text += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

inline ncclUniqueId id_of(const std::string& text) {
  ncclUniqueId id = {};
  for (size_t i = 0; i < sizeof id.internal && 2 * i + 2 <= text.size(); ++i)
    id.internal[i] = static_cast<char>(std::stoi(text.substr(2 * i, 2), nullptr, 16));
  return id;
}

// On device 0.
inline bool sum_is_right(ncclComm_t comm, int ranks, int rank, size_t count) {
  void* x = nullptr;
  std::vector<float> host(count);
  for (size_t i = 0; i < count; ++i) host[i] = static_cast<float>((i % 100 + 1) * static_cast<size_t>(rank + 1));
  if (cudaMalloc(&x, count * 4) != cudaSuccess ||
      cudaMemcpyAsync(x, host.data(), count * 4, cudaMemcpyHostToDevice) != cudaSuccess ||
      ncclAllReduce(x, x, count, ncclFloat, ncclSum, comm, nullptr) != ncclSuccess ||
      cudaMemcpyAsync(host.data(), x, count * 4, cudaMemcpyDeviceToHost) != cudaSuccess ||
      cudaStreamSynchronize(nullptr) != cudaSuccess || cudaFree(x) != cudaSuccess)
    return false;
  const auto times = static_cast<size_t>(ranks * (ranks + 1) / 2);
  for (size_t i = 0; i < count; ++i) {
    if (host[i] != static_cast<float>((i % 100 + 1) * times)) return false;
  }
  return true;
}

// Sums of several lengths, then all to all.
inline bool exchange_is_right(ncclComm_t comm, int ranks, int rank) {
  for (const size_t count : {1, 1000, 300'001}) {
    if (!sum_is_right(comm, ranks, rank, count)) return false;
  }

  std::vector<int> host;
  for (int peer = 0; peer < ranks; ++peer) host.push_back(10 * rank + peer);
  const size_t bytes = host.size() * 4;
  void *out = nullptr, *in = nullptr;
  if (cudaMalloc(&out, bytes) != cudaSuccess || cudaMalloc(&in, bytes) != cudaSuccess) return false;
  if (cudaMemcpyAsync(out, host.data(), bytes, cudaMemcpyHostToDevice) != cudaSuccess) return false;
  bool right = ncclGroupStart() == ncclSuccess;
  for (int peer = 0; peer < ranks; ++peer) {
    right &= ncclSend(static_cast<int*>(out) + peer, 1, ncclInt32, peer, comm, nullptr) == ncclSuccess;
    right &= ncclRecv(static_cast<int*>(in) + peer, 1, ncclInt32, peer, comm, nullptr) == ncclSuccess;
  }
  right &= ncclGroupEnd() == ncclSuccess;
  right &= cudaMemcpyAsync(host.data(), in, bytes, cudaMemcpyDeviceToHost) == cudaSuccess;
  right &= cudaStreamSynchronize(nullptr) == cudaSuccess;
  for (int peer = 0; peer < ranks; ++peer) right &= host[static_cast<size_t>(peer)] == 10 * peer + rank;
  return right & (cudaFree(out) == cudaSuccess) & (cudaFree(in) == cudaSuccess);
}

}  // namespace convoy::emulation
