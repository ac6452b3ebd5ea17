#include "compiler/codegen/halide_backend.h"

#include "compiler/codegen/build_id.h"

#include <dlfcn.h>
#include <filesystem>

namespace dnn::codegen {

namespace {

namespace fs = std::filesystem;

constexpr const char* moduleName = "libdnnc_halide.so";

/// Beside the running program, in ../lib/dnnc of an installation, or where it was built (for test programs).
std::string modulePath() {
  std::error_code code;
  fs::path folder = fs::read_symlink("/proc/self/exe", code).parent_path();
  for (const fs::path& candidate : {folder / moduleName, folder / "../lib/dnnc" / moduleName}) {
    if (fs::exists(candidate, code)) {
      return candidate.string();
    }
  }
  return DNN_HALIDE_MODULE;
}

Result<const HalideFunctions*> load() {
  std::string path = modulePath();
  void* module = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* functions = module == nullptr ? nullptr : dlsym(module, "dnnc_halide_functions");
  if (functions == nullptr) {
    return Error{"cannot load the back end for kernels: " + std::string(dlerror()), ""};
  }
  return static_cast<const HalideFunctions*>(functions);
}

} // namespace

Result<const HalideFunctions*> halideBackend() {
  static const Result<const HalideFunctions*> loaded = load();
  return loaded;
}

std::string halideBackendIdentity() { return "Halide " DNN_HALIDE_VERSION ", back end " + buildIdOf(modulePath()); }

} // namespace dnn::codegen
