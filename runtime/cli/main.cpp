// `main` of an executable: the compiled program is linked as `dnn_module`.
#include "runtime/cli/run_main.h"

extern "C" const DnnModule dnn_module;

int main(int argc, char** argv) { return dnn::runtime::runMain(dnn_module, argc, argv); }
