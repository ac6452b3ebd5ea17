// What `log image` shows, as PNG files.
#pragma once

#include "runtime/machine/machine.h"

#include <functional>
#include <string>
#include <vector>

namespace dnn::runtime {

/// Several images side by side, 8 bits a channel.
struct Picture {
  std::string name; // "samples", "te.samples"
  uint32_t width = 0;
  uint32_t height = 0;
  uint32_t channels = 1; // 1: grey, 3: red, green, blue
  std::vector<uint8_t> pixels;
};

/// How the dimensions of an image log are read: [H, W], [H, W, 1 or 3], [K, H, W], [K, H, W, 1 or 3] for K images.
struct PictureShape {
  int64_t images = 1;
  int64_t height = 0;
  int64_t width = 0;
  int64_t channels = 1;
};
/// False for dimensions that are none of these.
bool pictureShape(const std::vector<int64_t>& dims, PictureShape& shape);

/// Appends the images that the last call left in the entry's outputs, named PREFIX + output. Floats are 0 for black to
/// 1 for white, and cut off there; u8 values are taken as they are.
void takePictures(
    Machine& machine, const plan::Entry& entry, const std::string& prefix, std::vector<Picture>& pictures,
    const std::function<bool(const plan::Port&)>& wanted = [](const plan::Port&) { return true; });

Status writePng(const std::string& path, const Picture& picture);

} // namespace dnn::runtime
