# LLVM 22; only compiler/codegen/llvm sees its headers. From its static libraries: the shared one takes 17 ms and 50 MB
# to load, with all targets and what it depends on, the parts that are used here 4 ms and 15 MB.
find_library(DNN_ZSTD_LIBRARY NAMES zstd libzstd.so.1 REQUIRED)
if(NOT TARGET zstd::libzstd_shared) # LLVM's package wants it; Debian's package of its headers is not needed
  add_library(zstd::libzstd_shared SHARED IMPORTED)
  set_target_properties(zstd::libzstd_shared PROPERTIES IMPORTED_LOCATION ${DNN_ZSTD_LIBRARY})
endif()
find_package(LLVM 22.1 REQUIRED CONFIG HINTS /usr/lib/llvm-22)
llvm_map_components_to_libnames(DNN_LLVM_LIBRARIES bitreader core instcombine ipo mc scalaropts support target vectorize x86codegen x86desc x86info)
add_library(dnn_llvm_headers INTERFACE)
target_include_directories(dnn_llvm_headers SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS})
target_link_libraries(dnn_llvm_headers INTERFACE ${DNN_LLVM_LIBRARIES})
target_link_options(dnn_llvm_headers INTERFACE -fuse-ld=lld -B${LLVM_TOOLS_BINARY_DIR} -Wl,--gc-sections)
