// Folders of images, decoded by all threads into memory; or, where they are too many, with each batch that they are in.
#include "runtime/data/decode_image.h"
#include "runtime/data/image_folder.h"
#include "runtime/data/loaders.h"
#include "runtime/pool/pool.h"
#include "runtime/support/file.h"
#include "runtime/support/input_file.h"
#include "runtime/support/text.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>

namespace dnn::runtime {

namespace {

/// The pixels of a file as a row of the source's images.
Status decodeFile(const plan::Source& source, const std::string& path, std::vector<uint8_t>& file,
                  std::vector<uint8_t>& pixels) {
  const std::vector<int64_t>& dims = source.fields[0].dims;
  if (Status status = readFile(path, file); !status.ok()) {
    return status;
  }
  Image image;
  if (Status status = decodeImage(file, path, dims[2], image); !status.ok()) {
    return status;
  }
  if (image.height != dims[0] || image.width != dims[1]) {
    if (!source.resize) {
      return failure(
          ExitCode::BadInput,
          "`%s` has %lld × %lld pixels; `%s` takes %lld × %lld, and only `size = …` in the program's source of "
          "images stretches them",
          path.c_str(), static_cast<long long>(image.height), static_cast<long long>(image.width), source.name.c_str(),
          static_cast<long long>(dims[0]), static_cast<long long>(dims[1]));
    }
    image = resized(image, dims[0], dims[1]);
  }
  pixels = std::move(image.pixels);
  return success();
}

FileStamp stampOf(const std::string& path) {
  struct stat info{};
  return stat(path.c_str(), &info) == 0 ? FileStamp::of(info) : FileStamp{};
}

/// Images that are decoded when they are needed.
class ImageRows : public RowFiles {
public:
  ImageRows(const plan::Source& source, std::vector<std::string> paths, std::vector<FileStamp> stamps)
      : source_(source), paths_(std::move(paths)), stamps_(std::move(stamps)) {
    fields = {0};
  }

  Status read(uint64_t row, RowValues& values) const override {
    Status status = decodeFile(source_, paths_[row], values.raw, values.fields[0].bytes);
    if (!status.ok() || stampOf(paths_[row]) != stamps_[row]) {
      return failure(ExitCode::Io, "cannot read `%s`: the file has changed since it was checked", paths_[row].c_str());
    }
    return status;
  }
  void expect(uint64_t row) const override {
    int file = open(paths_[row].c_str(), O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
      posix_fadvise(file, 0, 0, POSIX_FADV_WILLNEED);
      close(file);
    }
  }
  Status unchanged() const override { return success(); } // told of each image

private:
  const plan::Source& source_;
  std::vector<std::string> paths_;
  std::vector<FileStamp> stamps_;
};

struct Decoding {
  const plan::Source& source;
  const std::vector<std::string>& paths;
  Column* pixels; // null: the images are only checked
  std::vector<Status> results;
};

Status decodeOne(const Decoding& work, size_t number) {
  std::vector<uint8_t> file;
  std::vector<uint8_t> pixels;
  Status status = decodeFile(work.source, work.paths[number], file, pixels);
  if (status.ok() && work.pixels != nullptr) {
    std::copy(pixels.begin(), pixels.end(), work.pixels->bytes.data() + number * work.pixels->rowBytes);
  }
  return status;
}

} // namespace

} // namespace dnn::runtime

using namespace dnn::runtime;

Status dnn_load_images(const dnn::plan::Source& source, const std::vector<std::string>& paths, uint64_t memory,
                       Dataset& data) {
  if (paths.size() != 1) {
    return failure(ExitCode::Usage, "`%s` reads one folder, and %zu are given", source.name.c_str(), paths.size());
  }
  dnn::plan::Source listed = source; // its classes are known since the program was compiled
  ImageList images;
  if (Status status = listImages(paths[0], listed, images); !status.ok()) {
    return status;
  }
  data.rows = images.paths.size();
  Column& pixels = data.fields[0];
  bool kept = data.rows * pixels.rowBytes <= memory;
  std::vector<FileStamp> stamps;
  if (kept) {
    pixels.bytes.resize(data.rows * pixels.rowBytes);
  } else {
    std::ranges::transform(images.paths, std::back_inserter(stamps), stampOf);
  }
  Decoding work{source, images.paths, kept ? &pixels : nullptr, std::vector<Status>(data.rows)};
  auto decode = [](void*, int number, uint8_t* closure) {
    auto* all = reinterpret_cast<Decoding*>(closure);
    all->results[static_cast<size_t>(number)] = decodeOne(*all, static_cast<size_t>(number));
    return 0; // all of them, so that it is always the same error that is reported
  };
  Pool::global().parallelFor(nullptr, decode, 0, static_cast<int>(data.rows), reinterpret_cast<uint8_t*>(&work));
  for (const Status& status : work.results) {
    if (!status.ok()) {
      return status;
    }
  }
  if (source.labels > 0) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(images.labels.data());
    data.fields[1].bytes.assign(bytes, bytes + images.labels.size() * sizeof(int32_t));
  }
  if (!kept) {
    data.files.push_back(std::make_unique<ImageRows>(source, std::move(images.paths), std::move(stamps)));
  }
  return success();
}
