# dkagent-aarch64, beside dkagent: the agent for hosts with 64-bit ARM processors. Built where the cross compiler and nettle are there
# (./dev packages arm64), unless DK_AGENT_ARM64 says otherwise.
set(DK_AGENT_ARM64 AUTO CACHE STRING "The agent for 64-bit ARM hosts: AUTO (where it can be built), ON, OFF")

find_program(DK_ARM64_GCC aarch64-linux-gnu-gcc)
set(arm64_lacks "")
if(NOT DK_ARM64_GCC)
  string(APPEND arm64_lacks " aarch64-linux-gnu-gcc")
endif()
if(NOT EXISTS /usr/aarch64-linux-gnu/lib/libc.a)
  string(APPEND arm64_lacks " libc6-dev-arm64-cross")
endif()
if(NOT EXISTS ${PROJECT_SOURCE_DIR}/build/arm64/root/usr/lib/aarch64-linux-gnu/libnettle.a AND
   NOT EXISTS /usr/lib/aarch64-linux-gnu/libnettle.a)
  string(APPEND arm64_lacks " nettle-dev:arm64")
endif()
set(DK_AGENT_ARM64_IS_BUILT OFF)
if(DK_AGENT_ARM64 STREQUAL "ON" AND arm64_lacks)
  message(FATAL_ERROR "dkagent-aarch64 cannot be built here, missing:${arm64_lacks}; ./dev packages arm64 installs that")
endif()
# A sanitizer's or a fuzzer's build is for tests of this machine's programs.
if(DK_AGENT_ARM64 STREQUAL "ON" OR (DK_AGENT_ARM64 STREQUAL "AUTO" AND NOT arm64_lacks AND NOT DK_SANITIZE AND NOT DK_FUZZ AND
   NOT DK_COVERAGE AND NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$"))
  set(DK_AGENT_ARM64_IS_BUILT ON)
  include(ExternalProject)
  set(arm64_program ${PROJECT_BINARY_DIR}/engine/agent/dkagent-aarch64)
  ExternalProject_Add(dkagent_arm64
    SOURCE_DIR ${PROJECT_SOURCE_DIR}
    BINARY_DIR ${PROJECT_BINARY_DIR}/arm64
    PREFIX ${PROJECT_BINARY_DIR}/arm64-steps
    CMAKE_ARGS -DCMAKE_TOOLCHAIN_FILE=${PROJECT_SOURCE_DIR}/cmake/aarch64.cmake -DDK_AGENT_ONLY=ON -DDK_TESTS=OFF
               -DDK_AGENT_ARM64=OFF -DDK_WERROR=${DK_WERROR} -DCMAKE_BUILD_TYPE=${CMAKE_BUILD_TYPE}
               -DCMAKE_C_FLAGS_RELWITHDEBINFO=${CMAKE_C_FLAGS_RELWITHDEBINFO} -DCMAKE_C_FLAGS_DEBUG=${CMAKE_C_FLAGS_DEBUG}
    BUILD_COMMAND ${CMAKE_COMMAND} --build . --target dkagent
    BUILD_ALWAYS ON # that build knows what is new
    INSTALL_COMMAND ${CMAKE_COMMAND} -E copy_if_different engine/agent/dkagent ${arm64_program}
    BUILD_BYPRODUCTS ${arm64_program}
    USES_TERMINAL_CONFIGURE OFF)
  install(PROGRAMS ${arm64_program} DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/dkrun)
endif()
