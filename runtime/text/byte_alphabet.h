/* byte_alphabet.h - the 256 visible characters by which byte-level vocabularies write bytes: printable
 * Latin-1 bytes are themselves, the 68 others are U+0100 and up in their order. */
#ifndef MD_BYTE_ALPHABET_H
#define MD_BYTE_ALPHABET_H

#include <stdint.h>

enum { MD_BYTE_SPACE = 0x120 }; /* how ' ' is written */

uint32_t md_byte_character(unsigned char byte);

#endif
