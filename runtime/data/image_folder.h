// Folders of images: one folder for each class, or images without classes.
#pragma once

#include "runtime/plan/plan.h"
#include "runtime/support/status.h"

#include <cstdint>
#include <string>
#include <vector>

namespace dnn::runtime {

/// The images of a source, in the order of its examples: class by class, within a class in the order of their names'
/// bytes. Names that begin with a dot are left out.
struct ImageList {
  std::vector<std::string> paths;
  std::vector<int32_t> labels; // positions in Source::classes; empty without classes
};

/// Lists the images of a source; without labels the path may also be that of one image. A source with labels whose
/// classes are not known yet gets them: the names of the folders, in the order of their bytes. Errors: no folder; no
/// class folders, an empty one, one that the known classes lack; a folder among images.
Status listImages(const std::string& folder, plan::Source& source, ImageList& images);

} // namespace dnn::runtime
