/* number_mutator.c - mutations of records of 64-bit numbers between texts (byte_stream.h), where a blind mutation shifts all
 * that follows. Most change one number in place: eight bytes that look like a small number are likely to be one. One in
 * four is libFuzzer's own. */
#include "fuzz_entry.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { WHOLE_INPUT = 4, NUMBER = 8, TRIES = 64, HEADER = 12 };

static bool is_number(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value < 1 << 16 || value + (1 << 16) < 1 << 16;
}

/* Offset of a number; 0: none was found. */
static size_t find_number(const uint8_t *data, size_t size)
{
    for (int i = 0; i < TRIES; i++) {
        const size_t at = HEADER + (size_t)rand() % (size - HEADER - NUMBER);
        for (size_t j = at; j + NUMBER < size && j < at + 4 * NUMBER; j++)
            if (is_number(data + j) && (data[j] != 0 || rand() % 4 == 0))
                return j;
    }
    return 0;
}

static uint64_t changed(uint64_t value)
{
    static const uint64_t numbers[] = { 0, 1, 2, 63, 64, 4095, 4096, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX };
    switch (rand() % 4) {
    case 0:
        return value + 1;
    case 1:
        return value - 1;
    case 2:
        return (uint64_t)rand() % 16;
    default:
        return numbers[(size_t)rand() % (sizeof numbers / sizeof numbers[0])];
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    srand(seed);
    size_t at = size <= HEADER + NUMBER || rand() % WHOLE_INPUT == 0 ? 0 : find_number(data, size);
    if (at == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    uint64_t value;
    const size_t other = rand() % 3 == 0 ? find_number(data, size) : 0;
    memcpy(&value, data + (other > 0 ? other : at), sizeof value);
    if (other == 0)
        value = changed(value);
    memcpy(data + at, &value, sizeof value);
    return size;
}

/* The head of one record with the tail of another. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2, size_t size2,
                                 uint8_t *out, size_t max_size, unsigned int seed)
{
    srand(seed);
    const size_t head = (size_t)rand() % (size1 + 1), tail = (size_t)rand() % (size2 + 1);
    if (head + tail > max_size)
        return 0;
    memcpy(out, data1, head);
    memcpy(out + head, data2 + size2 - tail, tail);
    return head + tail;
}
