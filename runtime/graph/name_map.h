/* name_map.h - names to numbers while a model is imported. Keys are borrowed and outlive the map; memory is
 * an arena's. The hash is keyed, so that a hostile file cannot make it slow. */
#ifndef MD_NAME_MAP_H
#define MD_NAME_MAP_H

#include "arena.h"
#include "span.h"

#include <stdint.h>

struct md_name_slot;

struct md_name_map {
    struct md_arena *arena;
    uint64_t seed;
    struct md_name_slot *slots; /* open addressing; NULL until the first name */
    size_t capacity;            /* a power of two */
    size_t count;
};

void md_name_map_init(struct md_name_map *map, struct md_arena *arena, uint64_t seed);
/* The number of the name, or -1. */
int32_t md_name_map_find(const struct md_name_map *map, struct md_span name);
/* The name must be new. False: no memory. */
bool md_name_map_add(struct md_name_map *map, struct md_span name, int32_t number);

#endif
