# SPDX-License-Identifier: MIT
# Writes the bytes of IN as a C array (a string literal would exceed what C11 promises for its length).
file(READ ${IN} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(0x0a,)" "\\1\n" bytes "${bytes}")
file(WRITE ${OUT} "static const char vitq_text[] = {\n${bytes}0x00\n};\n")
