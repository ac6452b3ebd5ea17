# LLVM 22 as one shared library; only compiler/codegen/llvm sees its headers.
find_package(LLVM 22.1 REQUIRED CONFIG HINTS /usr/lib/llvm-22)
add_library(dnn_llvm_headers INTERFACE)
target_include_directories(dnn_llvm_headers SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS})
target_link_libraries(dnn_llvm_headers INTERFACE LLVM)
