#include "runtime/cli/predict_paths.h"

#include "runtime/cli/predict_files.h"
#include "runtime/support/text.h"

#include <algorithm>
#include <sys/stat.h>

namespace dnn::runtime {

using plan::Port;

bool isNpy(const std::string& path) { return path.ends_with(".npy"); }

bool isText(const std::string& path) { return path.ends_with(".txt"); }

bool isImages(const std::string& path) {
  struct stat what = {};
  std::string lower = path;
  std::ranges::transform(lower, lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
  return lower.ends_with(".png") || lower.ends_with(".jpg") || lower.ends_with(".jpeg") ||
         (stat(path.c_str(), &what) == 0 && S_ISDIR(what.st_mode));
}

Status findText(const plan::Plan& plan, const Port& port, const std::string& path, const plan::Source*& text) {
  for (const plan::Source& source : plan.sources) {
    if (!port.text.empty() && source.name == port.text) {
      text = &source;
      return success();
    }
  }
  return failure(
      ExitCode::Usage,
      "`%s` would be text, but `%s` is no text: its type does not say `< SOURCE.vocab`; give it as .npy or csv",
      path.c_str(), port.name.c_str());
}

std::string namesOf(const std::vector<Port>& ports) {
  std::string names;
  for (const Port& port : ports) {
    names += (names.empty() ? "" : ", ") + port.name + ": " + describe(port.dtype, port.dims) +
             (port.batched ? " a row" : "");
  }
  return names;
}

const NamedPath* pathOf(const std::vector<NamedPath>& paths, const std::string& port) {
  for (const NamedPath& path : paths) {
    if (path.name == port) {
      return &path;
    }
  }
  return paths.size() == 1 && paths[0].name.empty() ? &paths[0] : nullptr;
}

Status checkNames(const char* flag, const std::vector<NamedPath>& paths, const std::vector<Port>& ports) {
  for (const NamedPath& path : paths) {
    auto same = [&](const Port& port) { return port.name == path.name; };
    if (!path.name.empty() && std::none_of(ports.begin(), ports.end(), same)) {
      return failure(ExitCode::Usage, "--%s: there is no `%s`; there is %s", flag, printable(path.name).c_str(),
                     namesOf(ports).c_str());
    }
    if (path.name.empty() && paths.size() > 1) {
      return failure(ExitCode::Usage, "--%s: with several files each needs a name: --%s NAME=%s", flag, flag,
                     path.path.c_str());
    }
  }
  return success();
}

} // namespace dnn::runtime
