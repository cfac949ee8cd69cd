# CONVOY_CURL: whether `convoy data fetch` can download. Sets CONVOY_HAS_CURL and says what was found.
set(CONVOY_CURL AUTO CACHE STRING "libcurl: AUTO (where it is found), ON (fail without it), OFF")
set_property(CACHE CONVOY_CURL PROPERTY STRINGS AUTO ON OFF)
set(CONVOY_HAS_CURL OFF)
# Not by itself in programs that are to run where there may be no libcurl.
if(CONVOY_CURL STREQUAL "ON" OR (CONVOY_CURL STREQUAL "AUTO" AND NOT CONVOY_PORTABLE))
  find_package(CURL 7.85 QUIET)
  set(CONVOY_HAS_CURL ${CURL_FOUND})
  if(CONVOY_CURL STREQUAL "ON" AND NOT CURL_FOUND)
    message(FATAL_ERROR "CONVOY_CURL is ON, but no libcurl 7.85 or later is found. Install libcurl4-openssl-dev, or name it with "
                        "-DCURL_INCLUDE_DIR= and -DCURL_LIBRARY=; or do without downloads with -DCONVOY_CURL=OFF.")
  endif()
endif()
if(CONVOY_HAS_CURL)
  message(STATUS "libcurl: ${CURL_LIBRARIES}, version ${CURL_VERSION_STRING}")
else()
  message(STATUS "libcurl: none (CONVOY_CURL is ${CONVOY_CURL})")
endif()
