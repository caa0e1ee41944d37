# How every target of sq is made: one warning set, one precompiled header.

add_library(SqFlags INTERFACE)
target_include_directories(SqFlags INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/include
                           ${CMAKE_BINARY_DIR} ${CMAKE_BINARY_DIR}/include)
target_compile_options(SqFlags INTERFACE -Wall -Wextra -Wno-unused-parameter
                       $<$<BOOL:${SQ_WERROR}>:-Werror>)
if(SQ_SANITIZE)
  target_compile_options(SqFlags INTERFACE -fsanitize=address,undefined -fno-omit-frame-pointer
                         -fno-sanitize=vptr -fno-sanitize-recover=undefined -g1)
  target_link_options(SqFlags INTERFACE -fsanitize=address,undefined -fno-sanitize=vptr)
endif()
find_program(SQ_LLD_FLAG NAMES ld.lld-22 ld.lld)
# g++ takes no path here; its default linker will do.
if(SQ_LLD_FLAG AND CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_link_options(SqFlags INTERFACE -fuse-ld=${SQ_LLD_FLAG})
endif()

add_library(SqMlirFlags INTERFACE)
target_include_directories(SqMlirFlags SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
target_link_libraries(SqMlirFlags INTERFACE SqFlags MLIR LLVM)

# sq_add_library(NAME [MLIR] SOURCES ... [LINKS ...] [DEPENDS ...])
function(sq_add_library name)
  cmake_parse_arguments(A "MLIR" "" "SOURCES;LINKS;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  _sq_configure(${name} PUBLIC "${A_MLIR}" "${A_LINKS}" "${A_DEPENDS}")
endfunction()

# sq_add_executable(NAME [MLIR] SOURCES ... [LINKS ...] [DEPENDS ...])
function(sq_add_executable name)
  cmake_parse_arguments(A "MLIR" "" "SOURCES;LINKS;DEPENDS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  if(SQ_SANITIZE)
    target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tools/cmake/SanitizerDefaults.cpp)
    set_source_files_properties(${CMAKE_SOURCE_DIR}/tools/cmake/SanitizerDefaults.cpp
                                PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
  endif()
  # The precompiled header is -fPIC; -fPIE objects cannot read it.
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${name} PRIVATE -fPIC)
  _sq_configure(${name} PRIVATE "${A_MLIR}" "${A_LINKS}" "${A_DEPENDS}")
  # What the tests run: check-sq builds it first.
  set_property(GLOBAL APPEND PROPERTY SQ_PROGRAMS ${name})
endfunction()

# sq_add_unit_test(NAME [MLIR] SOURCES ... [LINKS ...] [DEPENDS ...])
# A GoogleTest program in build/test/unit, where lit finds it. It may read
# SQ_SOURCE_DIR and SQ_BINARY_DIR (string literals).
function(sq_add_unit_test name)
  sq_add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE SQ_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                             SQ_BINARY_DIR="${CMAKE_BINARY_DIR}")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test/unit)
endfunction()

function(_sq_configure name scope mlir links depends)
  target_link_libraries(${name} ${scope} ${links})
  if(mlir)
    target_link_libraries(${name} ${scope} SqMlirFlags)
    if(SQ_ENABLE_PCH)
      target_precompile_headers(${name} REUSE_FROM SqPch)
    endif()
  else()
    target_link_libraries(${name} ${scope} SqFlags)
  endif()
  if(depends)
    add_dependencies(${name} ${depends})
  endif()
endfunction()

if(SQ_ENABLE_PCH)
  file(WRITE ${CMAKE_BINARY_DIR}/SqPch.cpp "")
  add_library(SqPch STATIC ${CMAKE_BINARY_DIR}/SqPch.cpp)
  target_link_libraries(SqPch PUBLIC SqMlirFlags)
  # Without a time stamp inside, equal headers give equal bytes and ccache hits.
  target_compile_options(SqPch PRIVATE
    $<$<CXX_COMPILER_ID:Clang>:SHELL:-Xclang -fno-pch-timestamp>)
  target_precompile_headers(SqPch PRIVATE ${CMAKE_SOURCE_DIR}/tools/cmake/SqPch.h)
endif()
