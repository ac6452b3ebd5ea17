// PNG and JPEG files as arrays of bytes, and images of another size.
#pragma once

#include "runtime/support/status.h"

#include <cstdint>
#include <string>
#include <vector>

namespace dnn::runtime {

/// Rows from the top, pixels from the left, the channels of a pixel side by side: 0 to 255.
struct Image {
  int64_t height = 0;
  int64_t width = 0;
  int64_t channels = 0; // 1 grey, 3 red, green, blue, 4 with opacity
  std::vector<uint8_t> pixels;
};

/// Decodes a file with 8 bits a channel, recognised by its first bytes, into `channels` (1, 3 or 4) channels. Grey
/// becomes equal colours, colours become grey by (299 r + 587 g + 114 b) / 1000, what has no opacity is opaque.
/// Errors name the path: empty, neither PNG nor JPEG, truncated or damaged, 16 bits a channel, CMYK, transparent pixels
/// where opacity is not asked for.
Status decodeImage(const std::vector<uint8_t>& file, const std::string& path, int64_t channels, Image& image);

/// Height and width alone, from the start of the file.
Status imageSize(const std::vector<uint8_t>& file, const std::string& path, int64_t& height, int64_t& width);

/// The image stretched to another size: each new pixel is the mean of the old ones around it, with weights that fall
/// linearly to zero at the distance of one old or one new pixel, whichever is larger. Integer arithmetic, so the result
/// is the same on every machine.
Image resized(const Image& image, int64_t height, int64_t width);

} // namespace dnn::runtime
