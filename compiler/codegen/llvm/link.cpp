#include "compiler/codegen/llvm/link.h"

#include "compiler/codegen/llvm/link_paths.h"

#include <llvm/Support/FileSystem.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Support/Path.h>
#include <llvm/Support/Program.h>
#include <llvm/Support/raw_ostream.h>

#include <optional>

namespace dnn::codegen {

namespace {

namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

std::string join(llvm::StringRef folder, llvm::StringRef name) {
  llvm::SmallString<256> joined(folder);
  path::append(joined, name);
  return joined.str().str();
}

/// A folder for the inputs of one link, removed with its files at the end.
class TemporaryFolder {
public:
  static Result<std::unique_ptr<TemporaryFolder>> create() {
    llvm::SmallString<256> folder;
    if (std::error_code code = fs::createUniqueDirectory("dnnc-link", folder)) {
      return Error{"cannot make a temporary folder: " + code.message(), ""};
    }
    return std::unique_ptr<TemporaryFolder>(new TemporaryFolder(folder.str().str()));
  }
  ~TemporaryFolder() {
    for (const std::string& file : files_) {
      fs::remove(file);
    }
    fs::remove(folder_);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  /// The path of a file in the folder, which need not exist.
  std::string file(const std::string& name) {
    files_.push_back(join(folder_, name));
    return files_.back();
  }

  Result<std::string> write(const std::string& name, const std::vector<uint8_t>& bytes) {
    std::string target = file(name);
    std::error_code code;
    llvm::raw_fd_ostream out(target, code);
    if (!code) {
      out.write(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      out.close();
      code = out.error();
      out.clear_error();
    }
    if (code) {
      return Error{"cannot write " + target + ": " + code.message(), ""};
    }
    return target;
  }

private:
  explicit TemporaryFolder(std::string folder) : folder_(std::move(folder)) {}

  std::string folder_;
  std::vector<std::string> files_;
};

Result<std::string> findLinker() {
  if (fs::can_execute(DNN_LLD_PATH)) {
    return std::string(DNN_LLD_PATH);
  }
  for (const char* name : {"ld.lld-22", "ld.lld"}) {
    if (auto found = llvm::sys::findProgramByName(name)) {
      return *found;
    }
  }
  return Error{"the linker ld.lld is neither at " DNN_LLD_PATH " nor in PATH; install lld-22", ""};
}

/// A library of the runtime: beside the running program, or where the build put it.
Result<std::string> findRuntime(const std::string& built) {
  static int anchor = 0;
  std::string self = fs::getMainExecutable(nullptr, &anchor);
  std::string folder = path::parent_path(self).str();
  std::string name = path::filename(built).str();
  for (const std::string& candidate : {join(folder, name), join(folder, "../lib/dnnc/" + name), built}) {
    if (fs::exists(candidate)) {
      return candidate;
    }
  }
  return Error{"the runtime library " + name + " is neither beside " + self + " nor at " + built, ""};
}

Status runLinker(const std::vector<std::string>& args, TemporaryFolder& folder, const std::string& outPath) {
  auto linker = findLinker();
  if (!linker) {
    return linker.error();
  }
  // The long list of inputs goes through a response file, so that no limit on command lines applies.
  std::string response;
  for (const std::string& arg : args) {
    response += "\"";
    for (char c : arg) {
      response += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
    }
    response += "\"\n";
  }
  auto responseFile = folder.write("arguments", std::vector<uint8_t>(response.begin(), response.end()));
  if (!responseFile) {
    return responseFile.error();
  }
  std::string messages = folder.file("messages");
  std::string at = "@" + *responseFile;
  std::optional<llvm::StringRef> redirects[] = {llvm::StringRef(""), llvm::StringRef(messages),
                                                llvm::StringRef(messages)};
  std::string failure;
  int code = llvm::sys::ExecuteAndWait(*linker, {"ld.lld", at}, std::nullopt, redirects, 0, 0, &failure);
  if (code == 0) {
    return success();
  }
  if (auto text = llvm::MemoryBuffer::getFile(messages); text && !(*text)->getBuffer().empty()) {
    failure = (*text)->getBuffer().trim().str();
  }
  return Error{"cannot link " + outPath + ": " + failure, ""};
}

Result<std::vector<std::string>> writeObjects(std::span<const std::vector<uint8_t>> objects, TemporaryFolder& folder) {
  std::vector<std::string> files;
  for (const std::vector<uint8_t>& object : objects) {
    auto file = folder.write(std::to_string(files.size()) + ".o", object);
    if (!file) {
      return file.error();
    }
    files.push_back(*file);
  }
  return files;
}

} // namespace

Status linkExecutable(std::span<const std::vector<uint8_t>> objects, const std::vector<std::string>& undefined,
                      const std::string& outPath) {
  auto folder = TemporaryFolder::create();
  if (!folder) {
    return folder.error();
  }
  auto files = writeObjects(objects, **folder);
  if (!files) {
    return files.error();
  }
  std::vector<std::string> args = {"-pie",
                                   "-z",
                                   "now",
                                   "-z",
                                   "relro",
                                   "-s",
                                   "--build-id=none",
                                   "--gc-sections",
                                   "--eh-frame-hdr",
                                   "--icf=safe",
                                   "--as-needed",
                                   "--hash-style=gnu",
                                   "-O2",
                                   "-dynamic-linker",
                                   "/lib64/ld-linux-x86-64.so.2",
                                   "-o",
                                   outPath,
                                   DNN_CRT1,
                                   DNN_CRTI,
                                   DNN_CRTBEGIN};
  for (const std::string& symbol : undefined) {
    args.push_back("--undefined=" + symbol);
  }
  args.insert(args.end(), files->begin(), files->end());
  for (const char* built : {DNN_RUNTIME_MAIN, DNN_RUNTIME}) {
    auto library = findRuntime(built);
    if (!library) {
      return library.error();
    }
    args.push_back(*library);
  }
  for (const char* file : {DNN_LIBSTDCXX, DNN_LIBPNG, DNN_LIBJPEG, DNN_LIBZ, DNN_LIBM, "--start-group", DNN_LIBGCC,
                           DNN_LIBGCC_EH, DNN_LIBC, "--end-group", DNN_CRTEND, DNN_CRTN}) {
    args.push_back(file);
  }
  return runLinker(args, **folder, outPath);
}

} // namespace dnn::codegen
