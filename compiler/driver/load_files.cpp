#include "compiler/driver/load_files.h"

#include "compiler/driver/library.h"
#include "compiler/frontend/parse.h"

#include <algorithm>
#include <filesystem>

namespace dnn::driver {

namespace {

namespace fs = std::filesystem;

/// The same for all spellings of a path.
std::string identity(const std::string& path) {
  std::error_code failed; // then the path as written is the best there is
  fs::path canonical = fs::weakly_canonical(path, failed);
  return failed ? path : canonical.string();
}

class Loader {
public:
  Loader(diag::Sources& sources, diag::Diagnostics& diags) : sources_(sources), diags_(diags) {}

  void parseUserFile(const std::string& path, diag::FileId id) {
    open_.push_back(identity(path));
    loaded_.userFiles.push_back(id);
    std::unique_ptr<ast::File> file = frontend::parseFile(id, diags_);
    if (file) {
      const ast::File& parsed = *file;
      loaded_.user.push_back(std::move(file));
      for (const auto& decl : parsed.decls) {
        if (const auto* import = std::get_if<ast::ImportDecl>(&decl->node)) {
          follow(*import, fs::path(path).parent_path());
        }
      }
    }
    open_.pop_back();
  }

  void parseStdlib() {
    std::vector<std::string_view> texts;
    for (diag::FileId id : loaded_.userFiles) {
      texts.push_back(sources_.text(id));
    }
    LibraryChoice choice = chooseLibrary(stdlibFiles(), texts);
    loaded_.libraryNames.assign(choice.leftOut.begin(), choice.leftOut.end());
    for (const EmbeddedFile& file : choice.files) {
      diag::FileId id = sources_.addVirtual(std::string(file.name), std::string(file.text));
      if (std::unique_ptr<ast::File> parsed = frontend::parseFile(id, diags_)) {
        loaded_.library.push_back(std::move(parsed));
      }
    }
  }

  LoadedFiles take() { return std::move(loaded_); }

private:
  void follow(const ast::ImportDecl& import, const fs::path& directory) {
    std::string path = (directory / import.path).string();
    std::string id = identity(path);
    if (auto open = std::find(open_.begin(), open_.end(), id); open != open_.end()) {
      auto report = diags_.report<diag::DiagId::import_cycle>(import.pathRange, import.path);
      // The imports that led from that file to here.
      for (auto at = static_cast<size_t>(open - open_.begin()); at < imports_.size(); ++at) {
        report.note(imports_[at], at + 1 < imports_.size() ? "through this import" : "this import led here");
      }
      return;
    }
    if (std::find(done_.begin(), done_.end(), id) != done_.end()) {
      return;
    }
    done_.push_back(id);
    Result<diag::FileId> file = sources_.addFile(path);
    if (!file) {
      diags_.report<diag::DiagId::import_unreadable>(import.pathRange, file.error().message)
          .hint("an import is relative to the file that it stands in");
      return;
    }
    imports_.push_back(import.pathRange);
    parseUserFile(path, *file);
    imports_.pop_back();
  }

  diag::Sources& sources_;
  diag::Diagnostics& diags_;
  LoadedFiles loaded_;
  std::vector<std::string> open_;          // the chain of imports that is being read
  std::vector<diag::SourceRange> imports_; // of each file in open_ but the first
  std::vector<std::string> done_;
};

} // namespace

sema::Files LoadedFiles::pointers() const {
  sema::Files files;
  for (const auto& file : user) {
    files.user.push_back(file.get());
  }
  for (const auto& file : library) {
    files.library.push_back(file.get());
  }
  files.libraryNames = libraryNames;
  return files;
}

Result<LoadedFiles> loadFiles(const std::string& path, diag::Sources& sources, diag::Diagnostics& diags) {
  Result<diag::FileId> main = sources.addFile(path);
  if (!main) {
    return main.error();
  }
  Loader loader(sources, diags);
  loader.parseUserFile(path, *main);
  loader.parseStdlib();
  return loader.take();
}

SourceText sourceText(const diag::Sources& sources, diag::FileId file) {
  const std::string& path = sources.name(file);
  return {path, identity(path), std::string(sources.text(file))};
}

} // namespace dnn::driver
