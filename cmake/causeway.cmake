# How every folder of src/ is built:
#   causeway_library(fabric DEPS cluster_model kernel_bpf [LIBS mnl] [PRIVATE_LIBS curl])
# compiles the folder's *.cc into libcauseway_fabric.a (target `fabric`), and its *_test.cc into the test binary
# `fabric_test` of the group unit.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json)  # imported targets are seen from here down
pkg_check_modules(FMT REQUIRED IMPORTED_TARGET fmt)
pkg_check_modules(SPDLOG REQUIRED IMPORTED_TARGET spdlog)

add_library(causeway_options INTERFACE)
target_include_directories(causeway_options INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/bpf)
target_compile_options(causeway_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Werror -Wno-missing-field-initializers -Wno-gnu-statement-expression
    -Wswitch-enum -fno-omit-frame-pointer>)
if(CAUSEWAY_SANITIZE STREQUAL "address")
  target_compile_options(causeway_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined)
  target_link_options(causeway_options INTERFACE -fsanitize=address,undefined)
elseif(CAUSEWAY_SANITIZE STREQUAL "thread")
  target_compile_options(causeway_options INTERFACE -fsanitize=thread)
  target_link_options(causeway_options INTERFACE -fsanitize=thread)
endif()
if(CAUSEWAY_FUZZ)
  target_compile_options(causeway_options INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(causeway_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

include(pch)
causeway_precompile(causeway_options)

find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
  # Templates of different types are often the same instructions: one copy of them takes a node a megabyte less.
  add_link_options($<$<CONFIG:Release>:-Wl,--gc-sections$<COMMA>--icf=safe>)
endif()

# The layer rule runs before anything is compiled, so a forbidden include fails the build.
add_custom_target(layers ALL
  COMMAND python3 ${CMAKE_SOURCE_DIR}/tools/layers.py ${CMAKE_SOURCE_DIR}
  COMMENT "layer rule" VERBATIM)

enable_testing()

# Which groups belong to `ninja all` here: sanitizers judge the pure code, the release build judges the kernel
# (requirements: `./dev test`). Any other test is built by its own name.
if(CAUSEWAY_SANITIZE)
  set(CAUSEWAY_GROUPS unit scenario sim)
else()
  set(CAUSEWAY_GROUPS kernel lab cluster)
endif()

# causeway_test(NAME GROUP unit|scenario|sim|kernel|lab|cluster SOURCES... DEPS...): a doctest binary registered with
# ctest under its group. TIMEOUT in seconds (120). SERIAL: nothing else runs beside it.
if(CAUSEWAY_TESTS)
  add_library(doctest_main OBJECT EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/test/main.cc)
  target_link_libraries(doctest_main PRIVATE causeway_options)
endif()
function(causeway_test name)
  cmake_parse_arguments(arg "SERIAL" "GROUP;TIMEOUT" "SOURCES;DEPS;LIBS" ${ARGN})
  if(NOT CAUSEWAY_TESTS)
    return()
  endif()
  add_executable(${name} ${arg_SOURCES} $<TARGET_OBJECTS:doctest_main>)
  target_link_libraries(${name} PRIVATE causeway_options ${arg_DEPS} ${arg_LIBS})
  add_dependencies(${name} layers)
  if(NOT arg_GROUP IN_LIST CAUSEWAY_GROUPS)
    set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL ON)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  causeway_test_properties(${name} "${arg_GROUP}" "${arg_TIMEOUT}" "${arg_SERIAL}")
endfunction()

# causeway_script_test(NAME GROUP COMMAND...): the same for a program that is not a doctest binary. It passes with
# exit 0; a last line "N passed, N failed" gives its number of cases.
function(causeway_script_test name)
  cmake_parse_arguments(arg "SERIAL" "GROUP;TIMEOUT" "COMMAND" ${ARGN})
  if(NOT CAUSEWAY_TESTS)
    return()
  endif()
  add_test(NAME ${name} COMMAND ${arg_COMMAND} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  causeway_test_properties(${name} "${arg_GROUP}" "${arg_TIMEOUT}" "${arg_SERIAL}")
endfunction()

function(causeway_test_properties name group timeout serial)
  if(NOT timeout)
    set(timeout 120)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${group}" TIMEOUT ${timeout})
  if(serial)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL ON)
  endif()
endfunction()

function(causeway_library name)
  cmake_parse_arguments(arg "" "" "DEPS;LIBS;PRIVATE_LIBS;TEST_DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  if(sources)
    add_library(${name} STATIC ${sources})
    set(mode PUBLIC)
    target_link_libraries(${name} PRIVATE ${arg_PRIVATE_LIBS})
    set_target_properties(${name} PROPERTIES OUTPUT_NAME causeway_${name})
    add_dependencies(${name} layers)
  else()
    add_library(${name} INTERFACE)
    set(mode INTERFACE)
  endif()
  target_link_libraries(${name} ${mode} causeway_options ${arg_DEPS} ${arg_LIBS})
  if(tests)
    causeway_test(${name}_test GROUP unit SOURCES ${tests} DEPS ${name} ${arg_TEST_DEPS})
  endif()
endfunction()
