// A network as an ONNX graph. It is found by watching: an image runs through the network, and every function of autograd.h
// that it calls becomes an operator. So any network can be written that is made of functions with a row in onnx.cpp's table.
#pragma once

#include "layers/layers.h"
#include "layers/onnx_file.h"

namespace convoy {

// Maps `images` [batch,C,H,W], normalised as in training, to `logits` [batch,classes], as in evaluation. Parameters have the
// names and layouts that they have in a file of weights (weights.h). Leaves `net` in evaluation mode. Throws Error(usage) for
// a network that calls a function without an operator, or whose result depends on the order of an image's values in memory.
OnnxGraph onnx_graph(Module& net, ImageExtent input);

}  // namespace convoy
