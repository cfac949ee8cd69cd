// Named arrays in numpy's archive format: what np.load() reads as a dictionary. It is a zip archive of .npy files, which are
// stored, not compressed. Format of archives: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
#pragma once

#include <map>
#include <string>

#include "tensor/tensor.h"

namespace convoy {

// The bytes of an archive that holds <name>.npy for each tensor, in name order. Types as npy_bytes() (npy.h) takes them. The
// same tensors give the same bytes at any time. Throws Error(usage) for more than 65,535 tensors or 4 GiB.
std::string npz_bytes(const std::map<std::string, Tensor>& tensors);

}  // namespace convoy
