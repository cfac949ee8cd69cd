// The data set that the settings name, loaded with a live line on the terminal where that takes a while.
#pragma once

#include "apps/settings.h"
#include "data/dataset.h"

namespace convoy {

// `tell`: shows what is going on and warns; off on all but one rank. Throws as load_dataset().
DatasetSplits load_data(const Settings& settings, bool tell = true);

// What images of it are: [h,w,c], and how many classes. Loads nothing but folders, which have to be looked into.
struct DatasetForm {
  int64_t h, w, c, classes;
};
DatasetForm form_of(const Settings& settings);

}  // namespace convoy
