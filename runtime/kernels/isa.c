/* isa.c - see isa.h. */
#include "isa.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[MD_ISA_COUNT] = { "portable", "avx2", "avx512", "avx512_vnni", "avx512_bf16" };

/* Written once, before anybody reads it. */
static pthread_once_t chosen_once = PTHREAD_ONCE_INIT;
static enum md_isa chosen;

const char *md_isa_name(enum md_isa isa)
{
    return names[isa];
}

enum md_isa md_isa_of_machine(void)
{
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return MD_ISA_PORTABLE;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512bw"))
        return MD_ISA_AVX2;
    if (!__builtin_cpu_supports("avx512vnni"))
        return MD_ISA_AVX512;
    return __builtin_cpu_supports("avx512bf16") ? MD_ISA_AVX512_BF16 : MD_ISA_AVX512_VNNI;
#else
    return MD_ISA_PORTABLE;
#endif
}

/* MD_ISA_COUNT: no such name. */
static enum md_isa level_of(const char *name)
{
    enum md_isa isa = MD_ISA_PORTABLE;
    while (isa < MD_ISA_COUNT && strcmp(names[isa], name) != 0)
        isa++;
    return isa;
}

static void choose(void)
{
    const char *name = getenv("MODELD_ISA");
    chosen = md_isa_of_machine();
    if (name != NULL && level_of(name) < chosen)
        chosen = level_of(name);
}

enum md_isa md_isa(void)
{
    (void)pthread_once(&chosen_once, choose); /* fails only for a broken once_control */
    return chosen;
}

enum md_code md_isa_check(struct md_error *error)
{
    const char *name = getenv("MODELD_ISA");
    if (name == NULL || level_of(name) <= md_isa_of_machine())
        return MD_OK;
    if (level_of(name) == MD_ISA_COUNT)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "MODELD_ISA is \"%s\"; known are portable, avx2, avx512, avx512_vnni, avx512_bf16", name);
    return md_fail(error, MD_INVALID_ARGUMENT, "MODELD_ISA is \"%s\", this machine has \"%s\"", name,
                   names[md_isa_of_machine()]);
}
