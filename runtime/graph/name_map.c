/* name_map.c - see name_map.h. */
#include "name_map.h"

#include <string.h>

enum { FIRST_CAPACITY = 8 };

struct md_name_slot {
    struct md_span name; /* bytes NULL: free slot */
    uint64_t hash;
    int32_t number;
};

/* Folds a 128-bit product: the mixing step of wyhash and its relatives. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_name(uint64_t seed, struct md_span name)
{
    uint64_t hash = seed ^ mix(seed | 1, (uint64_t)name.size + UINT64_C(0x9E3779B97F4A7C15));
    for (size_t at = 0; at < name.size; at += sizeof(uint64_t)) {
        uint64_t word = 0;
        size_t left = name.size - at;
        memcpy(&word, name.bytes + at, left < sizeof word ? left : sizeof word);
        hash = mix(hash ^ word ^ UINT64_C(0xA0761D6478BD642F), seed ^ UINT64_C(0xE7037ED1A0B428DB));
    }
    return mix(hash, seed ^ UINT64_C(0x8EBC6AF09C88C6E3));
}

static struct md_name_slot *slot_of(struct md_name_slot *slots, size_t capacity, uint64_t hash,
                                    struct md_span name)
{
    for (size_t at = (size_t)hash & (capacity - 1);; at = (at + 1) & (capacity - 1)) {
        struct md_name_slot *slot = &slots[at];
        if (slot->name.bytes == NULL || (slot->hash == hash && md_span_equal(slot->name, name)))
            return slot;
    }
}

void md_name_map_init(struct md_name_map *map, struct md_arena *arena, uint64_t seed)
{
    *map = (struct md_name_map){ .arena = arena, .seed = seed };
}

int32_t md_name_map_find(const struct md_name_map *map, struct md_span name)
{
    if (map->count == 0)
        return -1;
    const struct md_name_slot *slot = slot_of(map->slots, map->capacity, hash_name(map->seed, name), name);
    return slot->name.bytes == NULL ? -1 : slot->number;
}

static bool grow(struct md_name_map *map)
{
    size_t capacity = map->capacity == 0 ? FIRST_CAPACITY : map->capacity * 2;
    struct md_name_slot *slots = md_arena_allocate_zeroed(map->arena, capacity, sizeof *slots);
    if (slots == NULL)
        return false;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->slots[i].name.bytes != NULL)
            *slot_of(slots, capacity, map->slots[i].hash, map->slots[i].name) = map->slots[i];
    map->slots = slots;
    map->capacity = capacity;
    return true;
}

bool md_name_map_add(struct md_name_map *map, struct md_span name, int32_t number)
{
    if (map->count * 4 >= map->capacity * 3 && !grow(map))
        return false;
    if (name.bytes == NULL)
        name.bytes = "";
    uint64_t hash = hash_name(map->seed, name);
    *slot_of(map->slots, map->capacity, hash, name) = (struct md_name_slot){ name, hash, number };
    map->count++;
    return true;
}
