# Halide's compiler library, unpacked from its PyPI wheel by scripts/install-deps. Its own CMake package wants a newer
# CMake and Python, so the target is declared here.
set(DNN_HALIDE_VERSION 21.0.0)
set(DNN_HALIDE_DIR ${CMAKE_SOURCE_DIR}/build/deps/halide-${DNN_HALIDE_VERSION} CACHE PATH "Halide 21.0.0: include/ and lib/")
if(NOT EXISTS ${DNN_HALIDE_DIR}/include/Halide.h)
  message(FATAL_ERROR "Halide 21.0.0 is not in ${DNN_HALIDE_DIR}; run scripts/install-deps")
endif()
add_library(Halide::Halide SHARED IMPORTED)
set_target_properties(Halide::Halide PROPERTIES
  IMPORTED_LOCATION ${DNN_HALIDE_DIR}/lib/libHalide.so
  INTERFACE_INCLUDE_DIRECTORIES ${DNN_HALIDE_DIR}/include
  INTERFACE_COMPILE_DEFINITIONS "HALIDE_WITH_EXCEPTIONS;HALIDE_ENABLE_RTTI")
