/* build_id.h - which build this program is: for records that only the build that wrote them may read. */
#ifndef MD_BUILD_ID_H
#define MD_BUILD_ID_H

enum { MD_BUILD_ID_TEXT_SIZE = 129 };

/* The linker's build ID of the program in hexadecimal; "" if it has none. Returns `buffer`. */
const char *md_build_id(char buffer[MD_BUILD_ID_TEXT_SIZE]);

#endif
