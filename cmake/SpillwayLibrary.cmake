# One folder of src/ is one library is one layer. An arrow only points down: a library may only
# depend on libraries of a strictly lower layer, and configuring stops at the first edge that
# does not. docs/contributing.md draws the layers.
#
#   spillway_library(<name> LAYER <n> [SOURCES a.cc ...] [TESTS a_test.cc ...]
#                    [DEPENDS <lib> ...] [LINK <external target> ...])
#
# SOURCES may be empty for a library of headers. Every file in TESTS becomes part of one test
# program <name>_test, registered with the label "unit".
function(spillway_library name)
  cmake_parse_arguments(LIB "" "LAYER" "SOURCES;TESTS;DEPENDS;LINK" ${ARGN})
  if(NOT DEFINED LIB_LAYER)
    message(FATAL_ERROR "layers: library '${name}' does not state its LAYER")
  endif()
  set_property(GLOBAL PROPERTY SPILLWAY_LAYER_${name} ${LIB_LAYER})
  foreach(dep IN LISTS LIB_DEPENDS)
    get_property(dep_layer GLOBAL PROPERTY SPILLWAY_LAYER_${dep})
    if("${dep_layer}" STREQUAL "")
      message(FATAL_ERROR "layers: '${name}' depends on '${dep}', which is not a library declared before it")
    endif()
    if(NOT dep_layer LESS LIB_LAYER)
      message(FATAL_ERROR "layers: '${name}' (layer ${LIB_LAYER}) must not depend on '${dep}' (layer ${dep_layer}): an arrow only points down")
    endif()
  endforeach()

  if(LIB_SOURCES)
    add_library(${name} STATIC ${LIB_SOURCES})
    target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(${name} PUBLIC ${LIB_DEPENDS} ${LIB_LINK})
  else()
    add_library(${name} INTERFACE)
    target_include_directories(${name} INTERFACE ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(${name} INTERFACE ${LIB_DEPENDS} ${LIB_LINK})
  endif()

  if(SPILLWAY_TESTS AND LIB_TESTS)
    spillway_test(${name}_test LABEL unit SOURCES ${LIB_TESTS} DEPENDS ${name})
  endif()
endfunction()

#   spillway_test(<name> LABEL unit|contract|scenario|integration ... SOURCES ... DEPENDS ...
#                 [TIMEOUT s])
# The label "openstack" is of what runs on a real cloud if SPILLWAY_TEST_OPENSTACK names one, "ceph"
# of what runs on a real store if SPILLWAY_TEST_CEPH names one; such tests take turns, as some look
# at all that is there or take it away.
function(spillway_test name)
  cmake_parse_arguments(T "" "TIMEOUT" "LABEL;SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${T_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${T_DEPENDS} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE SPILLWAY_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                             SPILLWAY_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  add_test(NAME ${name} COMMAND ${name})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 120)
  endif()
  if(SPILLWAY_SANITIZE)
    math(EXPR T_TIMEOUT "${T_TIMEOUT} * 5")
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${T_LABEL}" TIMEOUT ${T_TIMEOUT})
  foreach(partner IN ITEMS openstack ceph)
    if(partner IN_LIST T_LABEL)
      set_tests_properties(${name} PROPERTIES RESOURCE_LOCK ${partner})
    endif()
  endforeach()
endfunction()

#   spillway_program(<name> SOURCES main.cc DEPENDS lib ...)   -> build/bin/<name>
function(spillway_program name)
  cmake_parse_arguments(P "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${P_SOURCES})
  target_link_libraries(${name} PRIVATE ${P_DEPENDS})
endfunction()
