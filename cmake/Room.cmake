# One function makes every room: a static library whose sources are listed, whose neighbours are
# declared, and whose unit tests stand beside its sources. The declared neighbours are written to
# rooms.txt, which the structure test compares with the includes it finds.

find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(tomlplusplus REQUIRED)

add_library(ascertain_flags INTERFACE)
target_compile_features(ascertain_flags INTERFACE cxx_std_20)
target_include_directories(ascertain_flags INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_options(ascertain_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wold-style-cast -Wnon-virtual-dtor
  -Woverloaded-virtual -Wdouble-promotion
  $<$<BOOL:${ASCERTAIN_WERROR}>:-Werror>)
if(ASCERTAIN_SANITIZE)
  target_compile_options(ascertain_flags INTERFACE
    -fsanitize=${ASCERTAIN_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(ascertain_flags INTERFACE -fsanitize=${ASCERTAIN_SANITIZE})
endif()
target_link_options(ascertain_flags INTERFACE -Wl,--as-needed)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)

set_property(GLOBAL PROPERTY ASCERTAIN_ROOMS "")

# ascertain_room(PATH SOURCES ... USES room-paths... [LIBRARIES imported-targets...] [TESTS ...])
# PATH and USES are folders below src/, such as predict/cost; the target is ascertain_predict_cost.
function(ascertain_room path)
  cmake_parse_arguments(ROOM "" "" "SOURCES;USES;LIBRARIES;TESTS" ${ARGN})
  string(REPLACE "/" "_" name ${path})
  add_library(ascertain_${name} STATIC ${ROOM_SOURCES})
  target_link_libraries(ascertain_${name} PUBLIC ascertain_flags fmt::fmt nlohmann_json::nlohmann_json
                        tomlplusplus::tomlplusplus)
  foreach(used IN LISTS ROOM_USES)
    string(REPLACE "/" "_" used_name ${used})
    target_link_libraries(ascertain_${name} PUBLIC ascertain_${used_name})
  endforeach()
  target_link_libraries(ascertain_${name} PRIVATE ${ROOM_LIBRARIES})
  string(REPLACE ";" " " uses "${ROOM_USES}")
  set_property(GLOBAL APPEND PROPERTY ASCERTAIN_ROOMS "${path}: ${uses}")
  if(ASCERTAIN_TESTS AND ROOM_TESTS)
    ascertain_test(${name}_test SOURCES ${ROOM_TESTS} USES ${path} LIBRARIES ${ROOM_LIBRARIES})
  endif()
endfunction()

# A GoogleTest program of one room's unit tests; every TEST becomes one CTest entry labelled unit.
function(ascertain_test name)
  cmake_parse_arguments(TEST "" "LABEL" "SOURCES;USES;LIBRARIES" ${ARGN})
  if(NOT TEST_LABEL)
    set(TEST_LABEL unit)
  endif()
  add_executable(ascertain_${name} ${TEST_SOURCES})
  foreach(used IN LISTS TEST_USES)
    string(REPLACE "/" "_" used_name ${used})
    target_link_libraries(ascertain_${name} PRIVATE ascertain_${used_name})
  endforeach()
  target_link_libraries(ascertain_${name} PRIVATE ascertain_flags ${TEST_LIBRARIES} GTest::gmock GTest::gtest_main)
  target_compile_definitions(ascertain_${name} PRIVATE ASCERTAIN_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  include(GoogleTest)
  gtest_discover_tests(ascertain_${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
                       PROPERTIES LABELS ${TEST_LABEL} TIMEOUT 300)
endfunction()

function(ascertain_write_rooms)
  get_property(rooms GLOBAL PROPERTY ASCERTAIN_ROOMS)
  string(REPLACE ";" "\n" text "${rooms}")
  file(WRITE ${PROJECT_BINARY_DIR}/rooms.txt "${text}\n")
endfunction()
