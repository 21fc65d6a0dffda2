# cmake -DOUT=stdlib_data.c -DDIR=stdlib -DNAMES=a,b -P embed.cmake: the modules' texts as C arrays.
string(REPLACE "," ";" names "${NAMES}")
set(table "")
set(code "/* Made by stdlib/embed.cmake. */\n#include \"stdlib/stdlib.h\"\n\n")
foreach(name IN LISTS names)
  file(READ ${DIR}/${name}.dk hex HEX)
  string(LENGTH "${hex}" digits)
  math(EXPR len "${digits} / 2")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n" bytes "${bytes}")
  string(APPEND code "static const unsigned char text_${name}[] = {\n${bytes}0x00};\n\n")
  string(APPEND table "    {\"std.${name}\", \"std/${name}.dk\", (const char *)text_${name}, ${len}},\n")
endforeach()
string(APPEND code "static const struct dk_stdlib_file files[] = {\n${table}};\n\n"
  "const struct dk_stdlib_file *dk_stdlib_files(uint32_t *ret_n) {\n"
  "  *ret_n = sizeof files / sizeof *files;\n  return files;\n}\n")
file(WRITE ${OUT} "${code}")
