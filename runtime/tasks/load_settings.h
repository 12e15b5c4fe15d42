/* load_settings.h - what a version's model.json says about loading it; read before there is a session. The keys that are
 * about answers are the task's (task.h). A directory without tokenizer.json may have a model.json, too. */
#ifndef MD_LOAD_SETTINGS_H
#define MD_LOAD_SETTINGS_H

#include "precision.h"
#include "status.h"

struct md_allocator;

struct md_load_settings {
    bool has_precision;          /* the file names one */
    enum md_precision precision; /* FP32 unless has_precision */
    bool has_bound;              /* the file names one, which then holds for each precision */
    double max_precision_difference[MD_PRECISION_COUNT];
};

/* No model.json: the defaults. INVALID_ARGUMENT: malformed, an unknown key, precision or bound (0 to 1).
 * RESOURCE_EXHAUSTED: memory. */
MD_NODISCARD enum md_code md_load_settings_read(const struct md_allocator *allocator, const char *model_directory,
                                                struct md_load_settings *out_settings, struct md_error *error);

#endif
