# SPDX-License-Identifier: MIT
# weir_floor(NAME SOURCES a.c ... TESTS a_test.c ...): one folder of core, its sources and its unit tests.
#
# Sources become an object library weir_<floor>, and an archive of it for the tests; all floors together make
# libweir. A test is one cmocka program tests/unit/<floor>/<name>.c, linked with its own floor and those below it
# and nothing else, hidden symbols included: a floor whose test needs a higher one does not link.

# Highest floor first, which is the order that a linker wants.
define_property(GLOBAL PROPERTY WEIR_FLOORS BRIEF_DOCS "floors that exist, highest first")
define_property(GLOBAL PROPERTY WEIR_UNIT_TESTS BRIEF_DOCS "unit tests, as floor/file")

add_library(weir_flags INTERFACE)
# The macro prefix map keeps the builder's folder out of the text of WEIR_ASSERT, so that builds are alike.
target_compile_options(weir_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
  -Wstrict-prototypes -Wmissing-prototypes -fno-strict-aliasing -fstack-protector-strong
  -fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=)
set(weir_sanitize ${WEIR_SANITIZE})
if(WEIR_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES Clang)
    message(FATAL_ERROR "WEIR_FUZZ needs clang, for libFuzzer: cmake --preset fuzz, or CC=clang")
  endif()
  set(weir_sanitize fuzzer-no-link,address,undefined)
endif()
if(weir_sanitize)
  target_compile_options(weir_flags INTERFACE -fsanitize=${weir_sanitize} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(weir_flags INTERFACE -fsanitize=${weir_sanitize})
endif()
if(WEIR_COVERAGE)
  target_compile_options(weir_flags INTERFACE --coverage)
  target_link_options(weir_flags INTERFACE --coverage)
endif()
target_compile_definitions(weir_flags INTERFACE _GNU_SOURCE)
target_include_directories(weir_flags INTERFACE ${PROJECT_SOURCE_DIR}/core ${PROJECT_SOURCE_DIR}/core/include)

function(weir_floor name)
  cmake_parse_arguments(F "" "" "SOURCES;TESTS;LIBS" ${ARGN})
  add_library(weir_${name} OBJECT ${F_SOURCES})
  target_link_libraries(weir_${name} PRIVATE weir_flags ${F_LIBS})
  target_compile_definitions(weir_${name} PRIVATE WEIR_BUILD)
  add_library(weir_${name}_archive STATIC $<TARGET_OBJECTS:weir_${name}>)
  set_target_properties(weir_${name}_archive PROPERTIES LINKER_LANGUAGE C)
  get_property(floors GLOBAL PROPERTY WEIR_FLOORS)
  set_property(GLOBAL PROPERTY WEIR_FLOORS ${name} ${floors})
  foreach(t ${F_TESTS})
    set_property(GLOBAL APPEND PROPERTY WEIR_UNIT_TESTS ${name}/${t})
  endforeach()
endfunction()

# The archives of a floor and everything below it, in link order.
function(weir_floors_from name out)
  get_property(floors GLOBAL PROPERTY WEIR_FLOORS)
  list(FIND floors ${name} at)
  list(SUBLIST floors ${at} -1 floors)
  list(TRANSFORM floors REPLACE "(.+)" "weir_\\1_archive")
  set(${out} ${floors} PARENT_SCOPE)
endfunction()
