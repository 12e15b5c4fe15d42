/* build_id.c - see build_id.h. The linker puts a note into the program; its loaded segments are searched for it. */
#include "build_id.h"

#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static size_t padded(size_t size)
{
    return (size + 3) & ~(size_t)3;
}

static void write_hex(const unsigned char *bytes, size_t size, char *text)
{
    for (size_t i = 0; i < size && 2 * i + 2 < MD_BUILD_ID_TEXT_SIZE; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", bytes[i]); /* fits */
}

static void search_notes(const unsigned char *notes, size_t size, char *text)
{
    ElfW(Nhdr) note;
    for (size_t at = 0; at + sizeof note <= size;) {
        memcpy(&note, notes + at, sizeof note);
        const size_t name = at + sizeof note, description = name + padded(note.n_namesz);
        if (description + note.n_descsz > size)
            return;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(notes + name, "GNU", 4) == 0)
            write_hex(notes + description, note.n_descsz, text);
        at = description + padded(note.n_descsz);
    }
}

/* The program itself comes first: anything but 0 ends the search. */
static int search_program(struct dl_phdr_info *info, size_t size, void *text)
{
    (void)size;
    for (size_t i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_NOTE)
            search_notes((const unsigned char *)(uintptr_t)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr),
                         info->dlpi_phdr[i].p_memsz, text);
    return 1;
}

const char *md_build_id(char buffer[MD_BUILD_ID_TEXT_SIZE])
{
    buffer[0] = '\0';
    (void)dl_iterate_phdr(search_program, buffer); /* 1: see search_program */
    return buffer;
}
