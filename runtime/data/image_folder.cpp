#include "runtime/data/image_folder.h"

#include "runtime/support/text.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <sys/stat.h>

namespace dnn::runtime {

namespace {

struct Names {
  std::vector<std::string> folders;
  std::vector<std::string> files;
  std::vector<std::string> others; // pipes and devices, which may have no end
};

Status namesIn(const std::string& folder, Names& names) {
  DIR* open = opendir(folder.c_str());
  if (open == nullptr) {
    return failure(ExitCode::Io, "cannot read the folder `%s`: %s", folder.c_str(), std::strerror(errno));
  }
  while (dirent* entry = readdir(open)) {
    std::string name = entry->d_name;
    if (name[0] == '.') {
      continue;
    }
    struct stat what = {};
    bool known = stat((folder + "/" + name).c_str(), &what) == 0; // else reading says why not
    if (known && !S_ISDIR(what.st_mode) && !S_ISREG(what.st_mode)) {
      names.others.push_back(name);
    } else {
      (known && S_ISDIR(what.st_mode) ? names.folders : names.files).push_back(name);
    }
  }
  closedir(open);
  std::ranges::sort(names.folders);
  std::ranges::sort(names.files);
  std::ranges::sort(names.others);
  return success();
}

std::string listed(const std::vector<std::string>& names) {
  constexpr size_t most = 12;
  std::string text;
  for (size_t i = 0; i < std::min(most, names.size()); ++i) {
    text += (i == 0 ? "`" : ", `") + names[i] + "`";
  }
  return text + (names.size() > most ? ", …" : "");
}

Status takeImages(const std::string& folder, const Names& names, ImageList& images) {
  if (!names.folders.empty()) {
    return failure(ExitCode::BadInput, "`%s/%s` is a folder among images", folder.c_str(), names.folders[0].c_str());
  }
  if (!names.others.empty()) {
    return failure(ExitCode::BadInput, "`%s/%s` is no file; images are read from files alone", folder.c_str(),
                   names.others[0].c_str());
  }
  if (names.files.empty()) {
    return failure(ExitCode::BadInput, "the folder `%s` has no images", folder.c_str());
  }
  for (const std::string& name : names.files) {
    images.paths.push_back(folder + "/" + name);
  }
  return success();
}

} // namespace

Status listImages(const std::string& folder, plan::Source& source, ImageList& images) {
  struct stat what = {};
  bool known = stat(folder.c_str(), &what) == 0;
  if (source.labels == 0 && known && S_ISREG(what.st_mode)) {
    images.paths = {folder};
    return success();
  }
  if (known && !S_ISDIR(what.st_mode)) {
    return failure(ExitCode::BadInput, "`%s` is no folder%s", folder.c_str(),
                   source.labels == 0 ? " of images, and no file"
                                      : "; each class needs one in the folder that is named");
  }
  Names top;
  if (Status status = namesIn(folder, top); !status.ok()) {
    return status;
  }
  if (source.labels == 0) {
    return takeImages(folder, top, images);
  }
  if (top.folders.empty()) {
    return failure(ExitCode::BadInput,
                   "`%s` has no folders, and each class needs one; without classes write `labels = none`",
                   folder.c_str());
  }
  if (source.classes.empty()) {
    source.classes = top.folders;
  }
  for (const std::string& name : top.folders) {
    auto found = std::ranges::find(source.classes, name);
    if (found == source.classes.end()) {
      return failure(ExitCode::BadInput, "`%s/%s` is no class of `%s`, whose classes are %s", folder.c_str(),
                     name.c_str(), source.name.c_str(), listed(source.classes).c_str());
    }
    Names inside;
    Status status = namesIn(folder + "/" + name, inside);
    status = status.ok() ? takeImages(folder + "/" + name, inside, images) : status;
    if (!status.ok()) {
      return status;
    }
    images.labels.resize(images.paths.size(), static_cast<int32_t>(found - source.classes.begin()));
  }
  return success();
}

} // namespace dnn::runtime
