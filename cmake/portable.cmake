# CONVOY_PORTABLE: programs that need the C library and a GPU's driver, nothing else. Debian has no static fmt: its headers do.
find_library(ZLIB_LIBRARY libz.a REQUIRED)
execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libgomp.a OUTPUT_VARIABLE OpenMP_gomp_LIBRARY OUTPUT_STRIP_TRAILING_WHITESPACE)
add_link_options(-static-libstdc++ -static-libgcc)
