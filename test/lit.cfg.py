# The text tests and end-to-end tests: FileCheck over what dnnc, dnn-opt and compiled executables print.
import os
import lit.formats

config.name = "dnnc"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".dnn", ".dnir", ".test"]
config.excludes = ["Inputs", "unit", "property", "fuzz"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.dnn_binary_dir, "test", "out")

bin_dir = os.path.join(config.dnn_binary_dir, "bin")
config.environment["PATH"] = os.pathsep.join([config.llvm_tools_dir, bin_dir, "/usr/bin", "/bin"])
config.environment["XDG_CACHE_HOME"] = os.path.join(config.test_exec_root, "cache")
for name in ("TMPDIR", "LANG", "ASAN_OPTIONS", "UBSAN_OPTIONS"):
    if name in os.environ:
        config.environment[name] = os.environ[name]

config.substitutions.append(("%dnnc", os.path.join(bin_dir, "dnnc")))
config.substitutions.append(("%dnn-opt", os.path.join(bin_dir, "dnn-opt")))
config.substitutions.append(("%examples", os.path.join(config.dnn_source_dir, "examples")))
config.substitutions.append(("%root", config.dnn_source_dir))
config.substitutions.append(("%bin", bin_dir))
config.substitutions.append(("%python", "/usr/bin/python3"))
config.substitutions.append(("%unittests", os.path.join(config.dnn_binary_dir, "unittests")))

# Larger public data sets are not shipped; tests that need them say `REQUIRES: mnist`.
data_dir = os.environ.get("DNN_DATA_DIR", "")
if os.path.exists(os.path.join(data_dir, "mnist", "train-images-idx3-ubyte.gz")):
    config.available_features.add("mnist")
config.substitutions.append(("%data", data_dir or "/nonexistent"))
if config.dnn_sanitized:
    config.available_features.add("sanitized")
if os.geteuid() == 0:
    config.available_features.add("root")
