# cmake -DOUT=remote_text.c -DIN=remote.sh -P embed.cmake: the script for the host as a C array, without its comments.
file(READ ${IN} text)
string(REGEX REPLACE "\n *# [^\n]*" "" text "\n${text}")
string(REGEX REPLACE "\n\n+" "\n" text "${text}")
string(LENGTH "${text}" len)
file(WRITE ${OUT}.txt "${text}")
file(READ ${OUT}.txt hex HEX)
file(REMOVE ${OUT}.txt)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n" bytes "${bytes}")
file(WRITE ${OUT} "/* Made by providers/ssh/embed.cmake. */\n#include \"providers/ssh/remote.h\"\n\n"
  "static const unsigned char text[] = {\n${bytes}0x00};\n\n"
  "const char *dk_ssh_remote_text(void) {\n  return (const char *)text;\n}\n")
