# CONVOY_STB: whether pictures (PNG, JPEG, BMP) can be read: folder:PATH as a data set, `convoy predict`. Sets CONVOY_HAS_STB and says what
# was found.
set(CONVOY_STB AUTO CACHE STRING "stb, to read pictures: AUTO (where it is found), ON (fail without it), OFF")
set_property(CACHE CONVOY_STB PROPERTY STRINGS AUTO ON OFF)
set(CONVOY_HAS_STB OFF)
if(NOT CONVOY_STB STREQUAL "OFF")
  find_path(STB_INCLUDE_DIR stb_image_resize.h PATH_SUFFIXES stb)
  if(STB_INCLUDE_DIR AND EXISTS "${STB_INCLUDE_DIR}/stb_image.h")
    set(CONVOY_HAS_STB ON)
  elseif(CONVOY_STB STREQUAL "ON")
    message(FATAL_ERROR "CONVOY_STB is ON, but stb_image.h and stb_image_resize.h are not found. Install libstb-dev, or name their folder with "
                        "-DSTB_INCLUDE_DIR=; or do without pictures with -DCONVOY_STB=OFF.")
  endif()
endif()
if(CONVOY_HAS_STB)
  message(STATUS "stb: ${STB_INCLUDE_DIR}")
else()
  message(STATUS "stb: none (CONVOY_STB is ${CONVOY_STB})")
endif()
