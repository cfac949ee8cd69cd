# CONVOY_MPI: whether ranks can be processes (--strategy ddp). Sets CONVOY_HAS_MPI and says what was found.
set(CONVOY_MPI AUTO CACHE STRING "MPI: AUTO (where it is found), ON (fail without it), OFF")
set_property(CACHE CONVOY_MPI PROPERTY STRINGS AUTO ON OFF)
set(CONVOY_HAS_MPI OFF)
# Not by itself in programs that are to run where there may be no MPI.
if(CONVOY_MPI STREQUAL "ON" OR (CONVOY_MPI STREQUAL "AUTO" AND NOT CONVOY_PORTABLE))
  set(MPI_CXX_SKIP_MPICXX ON)  # the C interface is enough
  find_package(MPI QUIET COMPONENTS CXX)
  set(CONVOY_HAS_MPI ${MPI_CXX_FOUND})
  if(CONVOY_MPI STREQUAL "ON" AND NOT MPI_CXX_FOUND)
    message(FATAL_ERROR "CONVOY_MPI is ON, but no MPI is found. Install libopenmpi-dev and openmpi-bin, or name one with "
                        "-DMPI_CXX_COMPILER=mpicxx; or do without parallel processes with -DCONVOY_MPI=OFF.")
  endif()
endif()
if(CONVOY_HAS_MPI)
  message(STATUS "MPI: ${MPI_CXX_LIBRARIES}, version ${MPI_CXX_VERSION} of the standard")
else()
  message(STATUS "MPI: none (CONVOY_MPI is ${CONVOY_MPI})")
endif()
