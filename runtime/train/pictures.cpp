#include "runtime/train/pictures.h"

#include "runtime/support/file.h"

#include <algorithm>
#include <cstring>
#include <zlib.h>

namespace dnn::runtime {

namespace {

uint8_t level(const uint8_t* data, plan::DType dtype, uint64_t index) {
  if (dtype == plan::DType::U8) {
    return data[index];
  }
  float value;
  std::memcpy(&value, data + index * sizeof value, sizeof value);
  return static_cast<uint8_t>(std::clamp(value, 0.0f, 1.0f) * 255 + 0.5f);
}

void appendBig(std::vector<uint8_t>& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    out.push_back(static_cast<uint8_t>(value >> shift));
  }
}

void appendChunk(std::vector<uint8_t>& out, const char* type, const std::vector<uint8_t>& data) {
  appendBig(out, static_cast<uint32_t>(data.size()));
  size_t start = out.size();
  out.insert(out.end(), type, type + 4);
  out.insert(out.end(), data.begin(), data.end());
  appendBig(out, static_cast<uint32_t>(crc32_z(0, out.data() + start, out.size() - start)));
}

} // namespace

bool pictureShape(const std::vector<int64_t>& dims, PictureShape& shape) {
  bool channels = dims.size() > 2 && (dims.back() == 1 || dims.back() == 3);
  size_t rank = dims.size() - (channels ? 1 : 0);
  if (rank != 2 && rank != 3) {
    return false;
  }
  shape = {rank == 3 ? dims[0] : 1, dims[rank - 2], dims[rank - 1], channels ? dims.back() : 1};
  return true;
}

void takePictures(Machine& machine, const plan::Entry& entry, const std::string& prefix, std::vector<Picture>& pictures,
                  const std::function<bool(const plan::Port&)>& wanted) {
  for (const plan::Port& port : entry.outputs) {
    PictureShape shape;
    if (!port.image || !wanted(port) || !pictureShape(port.dims, shape)) {
      continue;
    }
    std::erase_if(pictures, [&](const Picture& p) { return p.name == prefix + port.name; });
    Picture& picture = pictures.emplace_back();
    picture.name = prefix + port.name;
    picture.width = static_cast<uint32_t>(shape.images * shape.width);
    picture.height = static_cast<uint32_t>(shape.height);
    picture.channels = static_cast<uint32_t>(shape.channels);
    const uint8_t* data = machine.arena(port.offset);
    auto rowValues = static_cast<uint64_t>(shape.width * shape.channels);
    auto height = static_cast<uint64_t>(shape.height);
    for (uint64_t y = 0; y < height; ++y) {
      for (uint64_t image = 0; image < static_cast<uint64_t>(shape.images); ++image) {
        for (uint64_t i = 0; i < rowValues; ++i) {
          picture.pixels.push_back(level(data, port.dtype, (image * height + y) * rowValues + i));
        }
      }
    }
  }
}

Status writePng(const std::string& path, const Picture& picture) {
  std::vector<uint8_t> file = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  std::vector<uint8_t> header;
  appendBig(header, picture.width);
  appendBig(header, picture.height);
  constexpr uint8_t bits = 8;
  uint8_t kind = picture.channels == 3 ? 2 : 0;
  header.insert(header.end(), {bits, kind, 0, 0, 0});
  appendChunk(file, "IHDR", header);

  uint64_t rowBytes = uint64_t{picture.width} * picture.channels;
  std::vector<uint8_t> rows; // each behind the number of its filter: none
  for (uint64_t y = 0; y < picture.height; ++y) {
    rows.push_back(0);
    auto row = picture.pixels.begin() + static_cast<int64_t>(y * rowBytes);
    rows.insert(rows.end(), row, row + static_cast<int64_t>(rowBytes));
  }
  uLongf size = compressBound(rows.size());
  std::vector<uint8_t> packed(size);
  if (compress2(packed.data(), &size, rows.data(), rows.size(), Z_DEFAULT_COMPRESSION) != Z_OK) {
    return failure(ExitCode::Io, "cannot compress `%s`", path.c_str());
  }
  packed.resize(size);
  appendChunk(file, "IDAT", packed);
  appendChunk(file, "IEND", {});
  return writeFileAtomically(path, file.data(), file.size());
}

} // namespace dnn::runtime
