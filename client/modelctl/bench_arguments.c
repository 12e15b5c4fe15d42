/* bench_arguments.c - the command line of `modelctl bench`. */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LATE_CALLS_MAX = 65536, DISTINCT_REQUESTS = 256 };

const struct md_ctl_option md_ctl_bench_options[] = {
    { "concurrency", "N", "closed loop: N clients, each sends when its last answer is there (default 1)" },
    { "rate", "N", "open loop: N requests a second, latencies from when each was due" },
    { "arrivals", "KIND", "of an open loop: poisson (default) or fixed" },
    { "connections", "N", "connections, used in turn (default: one, and one more for 16 clients each)" },
    { "duration", "SECONDS", "how long to measure (default 10)" },
    { "warm-up", "SECONDS", "before that, not counted (default 1; 0: none)" },
    { "deadline-ms", "N", "of each request (default 10000)" },
    { "texts", "FILE", "send the lines of FILE, one text a request, instead of random tensors" },
    { "input", "NAME=DTYPE[N,-1]", "an input, may be repeated; without it the server is asked for the signature" },
    { "dims", "SIZES", "free dimensions by axis: batch=1,sequence=8..128 (the names are for the reader)" },
    { "values", "RANGES", "of integer inputs: input_ids=1000..30000,attention_mask=1 (default 0..1)" },
    { "protocol", "NAME", "modeld (default) or oip, the Open Inference Protocol" },
    { "seed", "N", "of arrivals and tensors (default 1)" },
    { NULL, NULL, NULL },
};

/* A whole number at *at, which is left behind it. */
static bool parse_integer(const char **at, int64_t *out_value)
{
    char *end = NULL;
    errno = 0;
    long long value = strtoll(*at, &end, 10);
    if (end == *at || errno != 0)
        return false;
    *at = end;
    *out_value = value;
    return true;
}

/* "8" or "8..128" at *at, which is left behind it and a comma. */
static bool parse_range(const char **at, struct md_load_range *out_range)
{
    struct md_load_range range;
    if (!parse_integer(at, &range.least))
        return false;
    range.most = range.least;
    if (strncmp(*at, "..", 2) == 0) {
        *at += 2;
        if (!parse_integer(at, &range.most) || range.most < range.least)
            return false;
    }
    if (**at != ',' && **at != '\0')
        return false;
    *at += **at == ',';
    *out_range = range;
    return true;
}

enum md_code md_ctl_bench_parse_dims(const char *text, struct md_load_range axes[MD_CTL_BENCH_AXES_MAX],
                                     size_t *out_count, struct md_error *error)
{
    const char *at = text;
    size_t count = 0;
    while (*at != '\0') {
        size_t name = strcspn(at, "=,");
        if (at[name] == '=')
            at += name + 1;
        if (count == MD_CTL_BENCH_AXES_MAX || !parse_range(&at, &axes[count]) || axes[count].least < 0)
            return md_fail(error, MD_INVALID_ARGUMENT, "--dims \"%s\" must look like batch=1,sequence=8..128", text);
        count++;
    }
    *out_count = count;
    return MD_OK;
}

enum md_code md_ctl_bench_set_values(struct md_ctl_bench *bench, struct md_error *error)
{
    for (const char *at = bench->values; at != NULL && *at != '\0';) {
        size_t size = strcspn(at, "="), index = 0;
        while (index < bench->requests.input_count && (strlen(bench->inputs[index].name) != size ||
                                                       memcmp(bench->inputs[index].name, at, size) != 0))
            index++;
        if (index == bench->requests.input_count)
            return md_fail(error, MD_INVALID_ARGUMENT, "--values: there is no input \"%.*s\"", (int)size, at);
        at += size + (at[size] == '=');
        if (!parse_range(&at, &bench->inputs[index].values))
            return md_fail(error, MD_INVALID_ARGUMENT, "--values \"%s\" must look like ids=1000..30000,mask=1",
                           bench->values);
    }
    return MD_OK;
}

/* "name=FP32[-1,4]". */
static enum md_code parse_input(const char *text, struct md_arena *arena, struct md_load_input *out_input,
                                struct md_error *error)
{
    const char *equals = strchr(text, '='), *bracket = equals != NULL ? strchr(equals, '[') : NULL;
    int64_t *shape = md_arena_allocate_zeroed(arena, MD_CTL_BENCH_AXES_MAX, sizeof *shape);
    size_t rank = 0;
    const char *at = bracket != NULL ? bracket + 1 : "";
    while (shape != NULL && rank < MD_CTL_BENCH_AXES_MAX && parse_integer(&at, &shape[rank])) {
        rank++;
        if (*at != ',')
            break;
        at++;
    }
    if (strcmp(at, "]") != 0 || equals == NULL)
        return md_fail(error, MD_INVALID_ARGUMENT, "--input \"%s\" must look like name=FP32[-1,4]", text);
    *out_input = (struct md_load_input){ .name = md_arena_copy_string(arena, text, (size_t)(equals - text)),
                                         .datatype = md_arena_copy_string(arena, equals + 1,
                                                                          (size_t)(bracket - equals - 1)),
                                         .shape = shape,
                                         .rank = rank,
                                         .values = { 0, 1 } };
    return out_input->name == NULL || out_input->datatype == NULL ? md_fail_memory(error, "input") : MD_OK;
}

static enum md_code parse_inputs(const struct md_ctl_arguments *arguments, struct md_arena *arena,
                                 struct md_ctl_bench *bench, struct md_error *error)
{
    for (size_t i = 0; i < arguments->given_count; i++)
        if (strcmp(arguments->given[i].name, "input") == 0)
            MD_TRY(parse_input(arguments->given[i].value, arena, &bench->inputs[bench->requests.input_count++], error));
    return MD_OK;
}

/* The value, one of two words; the first is the default. */
static enum md_code parse_choice(const struct md_ctl_arguments *arguments, const char *name, const char *first,
                                 const char *second, bool *out_is_second, struct md_error *error)
{
    const char *value = md_ctl_arguments_value(arguments, name);
    *out_is_second = value != NULL && strcmp(value, second) == 0;
    if (value != NULL && !*out_is_second && strcmp(value, first) != 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "--%s \"%s\" must be %s or %s", name, value, first, second);
    return MD_OK;
}

static enum md_code parse_seconds(const struct md_ctl_arguments *arguments, const char *name, uint64_t *out_ms,
                                  struct md_error *error)
{
    const char *value = md_ctl_arguments_value(arguments, name);
    uint32_t ms = (uint32_t)*out_ms;
    if (value != NULL && strcmp(value, "0") == 0 && strcmp(name, "warm-up") == 0)
        ms = 0;
    else
        MD_TRY(md_ctl_arguments_milliseconds(arguments, name, &ms, error));
    *out_ms = ms;
    return MD_OK;
}

static enum md_code parse_rate(const char *text, double *out_rate, struct md_error *error)
{
    char *end = NULL;
    double rate = text != NULL ? strtod(text, &end) : 0.0;
    if (text != NULL && (end == text || *end != '\0' || !(rate >= 0.001 && rate <= 1e7)))
        return md_fail(error, MD_INVALID_ARGUMENT, "--rate \"%s\" is not a number from 0.001 to 10000000", text);
    *out_rate = rate;
    return MD_OK;
}

static enum md_code parse_load(const struct md_ctl_arguments *arguments, struct md_load_options *load,
                               struct md_error *error)
{
    uint64_t concurrency = 1, connections = 0, deadline_ms = 10000;
    bool is_fixed;
    load->warm_up_ms = 1000;
    load->duration_ms = 10000;
    load->seed = 1;
    MD_TRY(parse_rate(md_ctl_arguments_value(arguments, "rate"), &load->rate, error));
    if (load->rate > 0.0 && md_ctl_arguments_has(arguments, "concurrency"))
        return md_fail(error, MD_INVALID_ARGUMENT, "--rate is an open loop, --concurrency a closed one: give one");
    MD_TRY(parse_choice(arguments, "arrivals", "poisson", "fixed", &is_fixed, error));
    MD_TRY(md_ctl_arguments_number(arguments, "concurrency", 1, LATE_CALLS_MAX, &concurrency, error));
    MD_TRY(md_ctl_arguments_number(arguments, "connections", 1, 1024, &connections, error));
    MD_TRY(md_ctl_arguments_number(arguments, "deadline-ms", 1, 3600000, &deadline_ms, error));
    MD_TRY(md_ctl_arguments_number(arguments, "seed", 0, INT64_MAX, &load->seed, error));
    MD_TRY(parse_seconds(arguments, "duration", &load->duration_ms, error));
    MD_TRY(parse_seconds(arguments, "warm-up", &load->warm_up_ms, error));
    load->is_poisson = !is_fixed;
    load->concurrency = load->rate > 0.0 ? LATE_CALLS_MAX : (size_t)concurrency;
    load->connections = connections > 0 ? (size_t)connections : load->rate > 0.0 ? 4 : 1 + (size_t)concurrency / 16;
    load->connections = load->connections < 64 || connections > 0 ? load->connections : 64;
    load->deadline_ms = (uint32_t)deadline_ms;
    return MD_OK;
}

enum md_code md_ctl_bench_parse(const struct md_ctl_arguments *arguments, struct md_arena *arena,
                                struct md_ctl_bench *bench, struct md_error *error)
{
    bool is_oip;
    const char *dims = md_ctl_arguments_value(arguments, "dims");
    *bench = (struct md_ctl_bench){ .texts = md_ctl_arguments_value(arguments, "texts"),
                                    .values = md_ctl_arguments_value(arguments, "values") };
    MD_TRY(md_ctl_model_parse(arguments->operands[0], false, &bench->model, error));
    MD_TRY(parse_load(arguments, &bench->load, error));
    MD_TRY(parse_choice(arguments, "protocol", "modeld", "oip", &is_oip, error));
    MD_TRY(parse_inputs(arguments, arena, bench, error));
    if (dims != NULL)
        MD_TRY(md_ctl_bench_parse_dims(dims, bench->axes, &bench->requests.axis_count, error));
    if (bench->texts != NULL && (bench->requests.input_count > 0 || dims != NULL || bench->values != NULL))
        return md_fail(error, MD_INVALID_ARGUMENT, "--texts goes without --input, --dims and --values");
    bench->requests.model = bench->model.name;
    bench->requests.version = bench->model.version;
    bench->requests.protocol = is_oip ? MD_LOAD_OIP : MD_LOAD_MODELD;
    bench->requests.seed = bench->load.seed;
    bench->requests.count = DISTINCT_REQUESTS;
    bench->requests.axes = bench->axes;
    bench->requests.inputs = bench->inputs;
    return MD_OK;
}
