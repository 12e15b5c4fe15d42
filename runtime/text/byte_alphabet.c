/* byte_alphabet.c - see byte_alphabet.h. */
#include "byte_alphabet.h"

uint32_t md_byte_character(unsigned char byte)
{
    if (byte <= ' ')
        return 256u + byte;
    if (byte >= 0x7F && byte <= 0xA0)
        return 256u + 33 + (byte - 0x7Fu);
    if (byte == 0xAD)
        return 256u + 67;
    return byte;
}
