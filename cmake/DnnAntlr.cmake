# The ANTLR4 tool (needs Java, at build time only) and its C++ runtime; only compiler/frontend sees its headers.
find_program(ANTLR4 antlr4 REQUIRED)
find_path(ANTLR4_INCLUDE_DIR antlr4-runtime.h PATH_SUFFIXES antlr4-runtime REQUIRED)
find_library(ANTLR4_LIBRARY NAMES libantlr4-runtime.a antlr4-runtime REQUIRED)
add_library(dnn_antlr_headers INTERFACE)
target_include_directories(dnn_antlr_headers SYSTEM INTERFACE ${ANTLR4_INCLUDE_DIR})
target_link_libraries(dnn_antlr_headers INTERFACE ${ANTLR4_LIBRARY} Threads::Threads)
