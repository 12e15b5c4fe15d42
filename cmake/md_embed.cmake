# A file as C source: cmake -D INPUT=file -D OUTPUT=file.c -D NAME=symbol -P md_embed.cmake
# defines `const unsigned char NAME[]` and `const unsigned long NAME_size`.
file(READ ${INPUT} bytes HEX)
string(LENGTH "${bytes}" size)
math(EXPR size "${size} / 2")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
string(REGEX REPLACE "(....................................................................................................)"
       "\\1\n" bytes "${bytes}")
file(WRITE ${OUTPUT}
     "extern const unsigned char ${NAME}[];\nextern const unsigned long ${NAME}_size;\n"
     "const unsigned char ${NAME}[] = {\n${bytes}\n};\nconst unsigned long ${NAME}_size = ${size};\n")
