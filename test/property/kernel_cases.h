// Random kernels as IR text: each family that the language's programs give rise to, over ragged shapes.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace dnn::test {

struct KernelCase {
  std::string family;
  std::string text;                             ///< `func @NAME helper … { … }`; NAME stands for the kernel's name
  std::vector<std::optional<uint32_t>> inPlace; ///< for each return
  std::vector<uint32_t> positiveInputs;         ///< drawn from [1/8, 2] instead of [-2, 2]
};

KernelCase randomKernel(std::mt19937_64& random);

} // namespace dnn::test
