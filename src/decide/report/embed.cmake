# Writes OUTPUT, a C++ source that holds the asset files as string literals, so that the report needs
# nothing beside the binary. Run as: cmake -DOUTPUT=... -DCSS=... -DJS=... -P embed.cmake
# Raw literals are cut into pieces because a compiler need not take one longer than 64 KiB.
function(literal name path)
  file(READ ${path} text)
  string(FIND "${text}" ")asset\"" clash)
  if(NOT clash EQUAL -1)
    message(FATAL_ERROR "${path} contains the end of a raw literal")
  endif()
  string(LENGTH "${text}" length)
  set(pieces "")
  set(begin 0)
  while(begin LESS length)
    string(SUBSTRING "${text}" ${begin} 8000 piece)
    string(APPEND pieces "    R\"asset(${piece})asset\"\n")
    math(EXPR begin "${begin} + 8000")
  endwhile()
  set(literals "${literals}const std::string_view ${name} =\n${pieces}    ;\n" PARENT_SCOPE)
endfunction()

set(literals "")
literal(kStyle ${CSS})
literal(kScript ${JS})
file(WRITE ${OUTPUT}
  "#include \"decide/report/assets.hpp\"\n\nnamespace ascertain::report {\n\n${literals}\n}  // namespace ascertain::report\n")
