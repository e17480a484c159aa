# cmake -D COMPILER=... -D SOURCE=file.cpp -D FOLDERS=... -D SYSTEM_FOLDERS=... -P check.cmake
# Compiles a file that names the error that it must give in a line `// error: regex`; a file without
# that line must compile.
file(STRINGS ${SOURCE} expected REGEX "^// error: ")
string(REPLACE "// error: " "" expected "${expected}")

list(REMOVE_ITEM FOLDERS ${SYSTEM_FOLDERS})
list(TRANSFORM FOLDERS PREPEND -I)
set(ENV{LC_ALL} C)  # for the compiler's messages
execute_process(COMMAND ${COMPILER} -std=c++20 -fsyntax-only ${FOLDERS} ${SOURCE}
                RESULT_VARIABLE failed ERROR_VARIABLE errors)

if(expected STREQUAL "")
  if(failed)
    message(FATAL_ERROR "This must compile:\n${errors}")
  endif()
elseif(NOT failed)
  message(FATAL_ERROR "This must not compile, but does: ${SOURCE}")
elseif(NOT errors MATCHES "${expected}")
  message(FATAL_ERROR "The error should say \"${expected}\", but it is:\n${errors}")
endif()
