// What the paths behind `--in` and `--out` mean: the form of a file, by its name, and the port that it is for.
#pragma once

#include "runtime/cli/options.h"

#include <string>
#include <vector>

namespace dnn::runtime {

bool isNpy(const std::string& path);
bool isText(const std::string& path);
/// An image, or a folder of them.
bool isImages(const std::string& path);
/// The source whose vocabulary the port's tokens belong to.
Status findText(const plan::Plan& plan, const plan::Port& port, const std::string& path, const plan::Source*& text);
/// "x: f32[3] a row, y: i32", for errors.
std::string namesOf(const std::vector<plan::Port>& ports);
/// The path given for a port: by name, or the only one without a name if there is one.
const NamedPath* pathOf(const std::vector<NamedPath>& paths, const std::string& port);

} // namespace dnn::runtime
