# cmake -D INPUT=file -D OUTPUT=file.cpp -D NAME=name -P embed.cmake
# Writes the bytes of a file as a C++ array.
file(READ ${INPUT} bytes HEX)
string(LENGTH "${bytes}" digits)
math(EXPR size "${digits} / 2")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
file(WRITE ${OUTPUT} "// Made from ${NAME} by cmake/embed.cmake.
#include <cstddef>

namespace xg::datasets::detail {
extern const unsigned char ${NAME}[];
extern const std::size_t ${NAME}_size;
const unsigned char ${NAME}[] = {${bytes}};
const std::size_t ${NAME}_size = ${size};
}  // namespace xg::datasets::detail
")
