/* isa.h - which instructions the kernels may use: decided once per process.
 *
 * The levels are ordered: each one has the instructions of those before it. The machine's level comes from CPUID; the
 * environment variable MODELD_ISA names a lower one, for tests and for comparing results between machines.
 * A variant of a kernel states the level that it needs. NEON would be a second list of levels here. */
#ifndef MD_ISA_H
#define MD_ISA_H

#include "status.h"

enum md_isa {
    MD_ISA_PORTABLE,
    MD_ISA_AVX2,        /* with FMA */
    MD_ISA_AVX512,      /* F, DQ, VL, BW */
    MD_ISA_AVX512_VNNI, /* products of bytes */
    MD_ISA_AVX512_BF16, /* products of bfloat16 pairs */
    MD_ISA_COUNT
};

/* "portable", "avx2", "avx512", "avx512_vnni", "avx512_bf16". */
const char *md_isa_name(enum md_isa isa);
/* What the machine has, whatever the environment says. */
enum md_isa md_isa_of_machine(void);
/* What to use: the machine's level, or what MODELD_ISA names if that is lower. An unknown or higher name counts as the
 * machine's: md_isa_check reports it. */
enum md_isa md_isa(void);
/* INVALID_ARGUMENT: MODELD_ISA names no level, or one that the machine does not have; both are named. */
MD_NODISCARD enum md_code md_isa_check(struct md_error *error);

#endif
