// Convolutions of images, their derivatives, as kernels: what the compiler itself makes of them.
#pragma once

#include "compiler/graph/graph.h"
#include "compiler/schedule/kernel.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dnn::bench {

struct Windows {
  int64_t images = 1, height = 1, width = 1, channels = 1, columns = 1;
  int64_t kernel = 1, stride = 1, groups = 1;
  std::optional<int64_t> padding; ///< zeros on each side; none: so many that size / stride places come out
  std::string directions;         ///< f: forward, i: the gradient of the images, w: of the weights
};

/// "8x56x56x64:128k3s2p1g2:fiw", images × height × width × channels, then the result's channels; without s, p, g: 1,
/// 0, 1.
std::optional<Windows> parseWindows(const std::string& word);

struct WindowKernels {
  std::unique_ptr<graph::Module> module;
  std::vector<schedule::Kernel> kernels; ///< several for the images' gradient of strided windows: residues
};

/// Derived, simplified, fused and outlined as programs are. `direction` is one of f, i and w.
WindowKernels kernelsOf(const Windows& windows, char direction);

} // namespace dnn::bench
