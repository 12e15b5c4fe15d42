/* splitter.c - see splitter.h. At most one piece is pending: what a later segment may still join. */
#include "splitter.h"

#include "json_value.h"
#include "working_memory.h"

#include <string.h>

enum md_code md_split_behavior_read(const struct md_json_value *value, enum md_split_behavior *out_behavior,
                                    struct md_error *error)
{
    static const char *const names[] = { "Removed", "Isolated", "MergedWithPrevious", "MergedWithNext",
                                         "Contiguous" };
    struct md_span name;
    MD_TRY(md_json_string(value, &name, error));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (md_span_equal(name, md_span_of(names[i]))) {
            *out_behavior = (enum md_split_behavior)i;
            return MD_OK;
        }
    return md_json_fail(value, error, MD_INVALID_ARGUMENT, "behavior \"%s\" is not known", name.bytes);
}

struct md_splitter md_splitter_start(struct md_working_memory *working, enum md_split_behavior behavior,
                                     bool invert, struct md_error *error)
{
    return (struct md_splitter){ .working = working, .behavior = behavior, .invert = invert, .error = error };
}

static enum md_code emit(struct md_splitter *splitter, size_t start, size_t end)
{
    return md_working_memory_add_piece(splitter->working, start, end, MD_NO_TOKEN, splitter->error);
}

/* The segment joins what is pending, or takes its place. */
static enum md_code join_or_replace(struct md_splitter *splitter, size_t start, size_t end, bool join)
{
    if (join && splitter->has_pending) {
        splitter->end = end;
        return MD_OK;
    }
    if (splitter->has_pending)
        MD_TRY(emit(splitter, splitter->start, splitter->end));
    splitter->has_pending = true;
    splitter->start = start;
    splitter->end = end;
    return MD_OK;
}

enum md_code md_splitter_feed(struct md_splitter *splitter, size_t start, size_t end, bool matched)
{
    bool match = matched != splitter->invert;
    bool previous = splitter->last_matched;
    splitter->last_matched = match;
    switch (splitter->behavior) {
    case MD_SPLIT_REMOVED:
        return match ? MD_OK : emit(splitter, start, end);
    case MD_SPLIT_ISOLATED:
        break;
    case MD_SPLIT_CONTIGUOUS:
        return join_or_replace(splitter, start, end, match == previous);
    case MD_SPLIT_MERGED_WITH_PREVIOUS:
        return join_or_replace(splitter, start, end, match && !previous);
    case MD_SPLIT_MERGED_WITH_NEXT:
        return join_or_replace(splitter, start, end, !match && previous);
    }
    return emit(splitter, start, end);
}

enum md_code md_splitter_finish(struct md_splitter *splitter)
{
    bool pending = splitter->has_pending;
    splitter->has_pending = false;
    splitter->last_matched = false;
    return pending ? emit(splitter, splitter->start, splitter->end) : MD_OK;
}
