#include "compiler/driver/program_inputs.h"

#include <algorithm>

namespace dnn::driver {

void ProgramInputs::add(const ProgramInputs& other) {
  for (const SourceText& file : other.files) {
    if (std::ranges::find(files, file) == files.end()) {
      files.push_back(file);
    }
  }
  for (const ProbeRecord& record : other.data) {
    if (std::ranges::find(data, record) == data.end()) {
      data.push_back(record);
    }
  }
  messages += other.messages;
}

} // namespace dnn::driver
