# Toolchain: 64-bit ARM by Debian's cross compiler, with nettle from build/arm64/root (./dev packages arm64) or from the system, where
# arm64 is one of its architectures.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_AR aarch64-linux-gnu-ar CACHE STRING "")
set(CMAKE_RANLIB aarch64-linux-gnu-ranlib CACHE STRING "")
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY) # nothing built here runs here
set(dk_arm64_root ${CMAKE_CURRENT_LIST_DIR}/../build/arm64/root)
if(EXISTS ${dk_arm64_root}/usr/lib/aarch64-linux-gnu/libnettle.a)
  set(ENV{PKG_CONFIG_SYSROOT_DIR} ${dk_arm64_root})
  set(ENV{PKG_CONFIG_LIBDIR} ${dk_arm64_root}/usr/lib/aarch64-linux-gnu/pkgconfig)
else()
  set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/aarch64-linux-gnu/pkgconfig)
endif()
