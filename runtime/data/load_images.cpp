// Folders of images into memory, decoded by all threads.
#include "runtime/data/decode_image.h"
#include "runtime/data/image_folder.h"
#include "runtime/data/loaders.h"
#include "runtime/pool/pool.h"
#include "runtime/support/file.h"
#include "runtime/support/text.h"

#include <algorithm>
#include <cstring>

namespace dnn::runtime {

namespace {

struct Decoding {
  const plan::Source& source;
  const ImageList& images;
  Column& pixels;
  std::vector<Status> results;
};

Status decodeOne(const Decoding& work, size_t number) {
  const std::string& path = work.images.paths[number];
  const std::vector<int64_t>& dims = work.pixels.dims;
  std::vector<uint8_t> file;
  if (Status status = readFile(path, file); !status.ok()) {
    return status;
  }
  Image image;
  if (Status status = decodeImage(file, path, dims[2], image); !status.ok()) {
    return status;
  }
  if (image.height != dims[0] || image.width != dims[1]) {
    if (!work.source.resize) {
      return failure(
          ExitCode::BadInput,
          "`%s` has %lld × %lld pixels; `%s` takes %lld × %lld, and only `size = …` in the program's source of "
          "images stretches them",
          path.c_str(), static_cast<long long>(image.height), static_cast<long long>(image.width),
          work.source.name.c_str(), static_cast<long long>(dims[0]), static_cast<long long>(dims[1]));
    }
    image = resized(image, dims[0], dims[1]);
  }
  std::memcpy(work.pixels.bytes.data() + number * work.pixels.rowBytes, image.pixels.data(), work.pixels.rowBytes);
  return success();
}

} // namespace

} // namespace dnn::runtime

using namespace dnn::runtime;

Status dnn_load_images(const dnn::plan::Source& source, const std::vector<std::string>& paths, Dataset& data) {
  if (paths.size() != 1) {
    return failure(ExitCode::Usage, "`%s` reads one folder, and %zu are given", source.name.c_str(), paths.size());
  }
  dnn::plan::Source listed = source; // its classes are known since the program was compiled
  ImageList images;
  if (Status status = listImages(paths[0], listed, images); !status.ok()) {
    return status;
  }
  Column& pixels = data.fields[0];
  pixels.bytes.resize(images.paths.size() * pixels.rowBytes);
  Decoding work{source, images, pixels, std::vector<Status>(images.paths.size())};
  auto decode = [](void*, int number, uint8_t* closure) {
    auto* all = reinterpret_cast<Decoding*>(closure);
    all->results[static_cast<size_t>(number)] = decodeOne(*all, static_cast<size_t>(number));
    return 0; // all of them, so that it is always the same error that is reported
  };
  Pool::global().parallelFor(nullptr, decode, 0, static_cast<int>(images.paths.size()),
                             reinterpret_cast<uint8_t*>(&work));
  for (const Status& status : work.results) {
    if (!status.ok()) {
      return status;
    }
  }
  if (source.labels > 0) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(images.labels.data());
    data.fields[1].bytes.assign(bytes, bytes + images.labels.size() * sizeof(int32_t));
  }
  data.rows = images.paths.size();
  return success();
}
