#include "runtime/data/decode_image.h"

#include <algorithm>
#include <cmath>

namespace dnn::runtime {

namespace {

constexpr int weightBits = 16; // 255 · 2^16 and the rounding fit an int32

/// What one new pixel is made of: `weights` of the old ones from `first` on, with the sum 2^weightBits.
struct Window {
  int64_t first = 0;
  std::vector<int32_t> weights;
};

std::vector<Window> windowsOf(int64_t from, int64_t to) {
  std::vector<Window> windows(static_cast<size_t>(to));
  double scale = static_cast<double>(from) / static_cast<double>(to);
  double reach = std::max(scale, 1.0);
  for (int64_t i = 0; i < to; ++i) {
    Window& window = windows[static_cast<size_t>(i)];
    double center = (static_cast<double>(i) + 0.5) * scale;
    window.first = std::max<int64_t>(0, static_cast<int64_t>(std::ceil(center - reach - 0.5)));
    int64_t last = std::min<int64_t>(from - 1, static_cast<int64_t>(std::floor(center + reach - 0.5)));
    std::vector<double> exact;
    double sum = 0;
    for (int64_t k = window.first; k <= last; ++k) {
      exact.push_back(std::max(0.0, 1 - std::abs(static_cast<double>(k) + 0.5 - center) / reach));
      sum += exact.back();
    }
    int32_t left = 1 << weightBits;
    size_t heaviest = 0;
    for (size_t k = 0; k < exact.size(); ++k) {
      window.weights.push_back(static_cast<int32_t>(exact[k] / sum * (1 << weightBits) + 0.5));
      left -= window.weights.back();
      heaviest = window.weights[k] > window.weights[heaviest] ? k : heaviest;
    }
    window.weights[heaviest] += left; // what rounding took or gave
  }
  return windows;
}

} // namespace

Image resized(const Image& image, int64_t height, int64_t width) {
  auto channels = static_cast<size_t>(image.channels);
  auto oldWidth = static_cast<size_t>(image.width), newWidth = static_cast<size_t>(width);
  auto oldHeight = static_cast<size_t>(image.height), newHeight = static_cast<size_t>(height);
  auto mean = [](const uint8_t* at, size_t stride, const Window& window) {
    int32_t sum = 1 << (weightBits - 1);
    for (size_t k = 0; k < window.weights.size(); ++k) {
      sum += window.weights[k] * at[k * stride];
    }
    return static_cast<uint8_t>(sum >> weightBits);
  };
  std::vector<uint8_t> wide(oldHeight * newWidth * channels); // of the new width, still of the old height
  std::vector<Window> across = windowsOf(image.width, width);
  for (size_t y = 0; y < oldHeight; ++y) {
    for (size_t x = 0; x < newWidth; ++x) {
      size_t start = (y * oldWidth + static_cast<size_t>(across[x].first)) * channels;
      for (size_t c = 0; c < channels; ++c) {
        wide[(y * newWidth + x) * channels + c] = mean(image.pixels.data() + start + c, channels, across[x]);
      }
    }
  }
  Image result{height, width, image.channels, std::vector<uint8_t>(newHeight * newWidth * channels)};
  std::vector<Window> down = windowsOf(image.height, height);
  size_t rowBytes = newWidth * channels;
  for (size_t y = 0; y < newHeight; ++y) {
    const uint8_t* start = wide.data() + static_cast<size_t>(down[y].first) * rowBytes;
    for (size_t i = 0; i < rowBytes; ++i) {
      result.pixels[y * rowBytes + i] = mean(start + i, rowBytes, down[y]);
    }
  }
  return result;
}

} // namespace dnn::runtime
