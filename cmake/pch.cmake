# Precompiled standard headers: parsing them is 35-45% of a clean build.
#
# Not CMake's own target_precompile_headers: its output has the build folder's path in it, so that ccache would share
# nothing between two clones. Here ccache is given the hash of the preprocessed text instead (CCACHE_PCH_EXTSUM reads
# FILE.pch.sum), which changes exactly when a header or the compiler's predefined macros do.
#
# causeway_precompile(TARGET): what links TARGET (an interface library) compiles with the header. Its own compile
# options must be complete by now: a precompiled header serves only the very options it was made with.
function(causeway_precompile target)
  set(header ${CMAKE_SOURCE_DIR}/cmake/pch.h)
  set(pch ${CMAKE_BINARY_DIR}/causeway.pch)
  string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
  separate_arguments(flags UNIX_COMMAND "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${type}}")
  get_target_property(options ${target} INTERFACE_COMPILE_OPTIONS)
  list(TRANSFORM options REPLACE "^\\$<\\$<COMPILE_LANGUAGE:CXX>:(.*)" "\\1")
  list(TRANSFORM options REPLACE ">$" "")
  set(compile ${CMAKE_CXX_COMPILER} ${flags} ${options} ${CMAKE_CXX23_EXTENSION_COMPILE_OPTION} -x c++-header ${header})
  add_custom_command(OUTPUT ${pch} ${pch}.sum
    COMMAND ${compile} -Xclang -emit-pch -Xclang -fno-pch-timestamp -fpch-instantiate-templates -MD -MF ${pch}.d -MT ${pch} -o ${pch}
    COMMAND sh ${CMAKE_SOURCE_DIR}/cmake/pch_sum.sh ${pch}.sum ${compile}
    DEPENDS ${header} DEPFILE ${pch}.d COMMENT "standard headers" VERBATIM)
  add_custom_target(causeway_pch DEPENDS ${pch})
  add_dependencies(${target} causeway_pch)
  target_compile_options(${target} INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-include-pch ${pch}>")
endfunction()
