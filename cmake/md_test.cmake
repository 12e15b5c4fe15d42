# md_test(NAME sources... [LIBS targets...]): one cmocka executable, registered with ctest under NAME.
# It has the flags of the product and links cmocka and md_test_support (allocators and folders for tests).
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)

function(md_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LIBS")
  md_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE md_test_support ${arg_LIBS})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 120)
endfunction()
