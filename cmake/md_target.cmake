# Flags that every target of ours has; generated code is built without the warnings.

set(MD_WARNINGS
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes
  -Wmissing-prototypes -Wvla -Wformat=2 -Wundef -Wcast-qual -Wwrite-strings -Wdouble-promotion
  -Wimplicit-fallthrough)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  list(APPEND MD_WARNINGS -Wduplicated-cond -Wlogical-op)
endif()
if(MD_WERROR)
  list(APPEND MD_WARNINGS -Werror)
endif()

set(MD_HARDENING -fstack-protector-strong -fstack-clash-protection -fcf-protection)
set(MD_LINK_HARDENING -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed)
if(MD_FUZZ)
  set(MD_SANITIZE "address,undefined,fuzzer-no-link")
endif()
if(MD_SANITIZE)
  add_compile_options(-fsanitize=${MD_SANITIZE} -fno-omit-frame-pointer)
  if(MD_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
  add_link_options(-fsanitize=${MD_SANITIZE})
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  list(APPEND MD_HARDENING -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()

function(md_configure target)
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
  target_compile_options(${target} PRIVATE ${MD_WARNINGS} ${MD_HARDENING} -fvisibility=hidden)
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
endfunction()

# md_library(NAME sources...): a static library whose headers are its own folder's.
function(md_library target)
  add_library(${target} STATIC ${ARGN})
  target_include_directories(${target} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
  md_configure(${target})
endfunction()

function(md_executable target)
  add_executable(${target} ${ARGN})
  target_link_options(${target} PRIVATE ${MD_LINK_HARDENING})
  md_configure(${target})
endfunction()
