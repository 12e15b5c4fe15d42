/* fuzz_entry.h - the names that libFuzzer knows. */
#ifndef MD_FUZZ_ENTRY_H
#define MD_FUZZ_ENTRY_H

#include <stddef.h>
#include <stdint.h>

/* One input. Returns 0; aborts on a finding. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Changes data in place, at most to max_size bytes; returns the new size. message_mutator.c. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2, size_t size2,
                                 uint8_t *out, size_t max_size, unsigned int seed);
/* libFuzzer's own mutations. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

#endif
