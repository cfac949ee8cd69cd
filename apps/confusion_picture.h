// A confusion matrix as a picture.
#pragma once

#include <string>

#include "apps/confusion.h"
#include "apps/gnuplot.h"

namespace convoy {

// A row for each class, a column for what it is taken for; the darker, the larger the share of the class; with numbers
// as long as they can be read.
Drawing confusion_picture(const ConfusionMatrix& confusion, const std::string& title);

}  // namespace convoy
