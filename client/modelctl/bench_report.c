/* bench_report.c - what `modelctl bench` prints: a table with a histogram, or a line of JSON. */
#include "bench.h"

enum { BAR_COLUMNS = 40, ROW_BUCKETS = MD_HISTOGRAM_OCTAVE / 2 };

static const double percents[] = { 50, 90, 99, 99.9 };
static const char *const percent_names[] = { "p50", "p90", "p99", "p99_9" };
enum { PERCENT_COUNT = sizeof percents / sizeof percents[0] };

static double per_second(const struct md_load_result *result, uint64_t count)
{
    return (double)count / result->seconds;
}

static uint64_t total(const struct md_load_result *result)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < MD_LOAD_CODES; i++)
        sum += result->codes[i];
    return sum;
}

static double cpu_us_per_call(const struct md_load_result *result)
{
    return result->calls > 0 ? (double)result->cpu_us / (double)result->calls : 0.0;
}

static json_t *json_codes(const struct md_load_result *result)
{
    json_t *codes = json_object();
    for (size_t i = 0; i < MD_LOAD_CODES; i++)
        if (result->codes[i] > 0)
            (void)json_object_set_new(codes, md_code_name((enum md_code)i), json_integer((json_int_t)result->codes[i]));
    return codes;
}

static json_t *json_latency(const struct md_histogram *histogram)
{
    json_t *latency = json_pack("{s:f, s:f}", "mean", md_histogram_mean(histogram) / 1e3, "max",
                                (double)histogram->most / 1e3);
    for (size_t i = 0; i < PERCENT_COUNT; i++)
        (void)json_object_set_new(latency, percent_names[i],
                                  json_real((double)md_histogram_percentile(histogram, percents[i]) / 1e3));
    return latency;
}

static int print_json(struct md_ctl_context *context, const struct md_ctl_bench *bench,
                      const struct md_load_result *result)
{
    const struct md_load_options *load = &bench->load;
    json_t *line = json_pack("{s:o, s:s, s:I, s:f, s:f, s:I, s:f, s:f, s:o, s:o, s:f, s:I, s:I, s:I, s:o}", "model",
                             md_ctl_json_string(bench->model.name), "loop", load->rate > 0.0 ? "open" : "closed",
                             "connections", (json_int_t)load->connections, "rate", load->rate, "seconds",
                             result->seconds, "requests", (json_int_t)total(result), "offered_per_second",
                             per_second(result, total(result)), "ok_per_second",
                             per_second(result, result->codes[MD_OK]), "codes", json_codes(result), "latency_us",
                             json_latency(&result->latency), "client_cpu_us_per_call", cpu_us_per_call(result),
                             "calls", (json_int_t)result->calls, "request_bytes", (json_int_t)result->request_bytes,
                             "response_bytes", (json_int_t)result->response_bytes, "first_failure",
                             md_ctl_json_string(result->first_failure));
    if (line != NULL && load->rate == 0.0)
        (void)json_object_set_new(line, "concurrency", json_integer((json_int_t)load->concurrency));
    return md_ctl_print_json(context, line);
}

static uint64_t row_count(const struct md_histogram *histogram, size_t row)
{
    uint64_t count = 0;
    for (size_t i = 0; i < ROW_BUCKETS; i++)
        count += histogram->counts[row * ROW_BUCKETS + i];
    return count;
}

/* Two rows an octave, from the first that has a value to the last. */
static void print_histogram(struct md_ctl_context *context, const struct md_histogram *histogram)
{
    size_t rows = MD_HISTOGRAM_BUCKETS / ROW_BUCKETS, first = rows, last = 0;
    uint64_t most = 1;
    for (size_t row = 0; row < rows; row++) {
        uint64_t count = row_count(histogram, row);
        first = count > 0 && first == rows ? row : first;
        last = count > 0 ? row : last;
        most = count > most ? count : most;
    }
    for (size_t row = first; row <= last && first < rows; row++) {
        char bar[3 * BAR_COLUMNS + 4], text[MD_CTL_TEXT_SIZE];
        uint64_t count = row_count(histogram, row), end_ns = md_histogram_bucket_end((row + 1) * ROW_BUCKETS - 1);
        (void)fprintf(context->out, "  up to %9s %9llu %s%s%s\n", md_ctl_format_duration(end_ns / 1000, text),
                      (unsigned long long)count, md_ctl_colour_on(context->colours, MD_CTL_GREEN),
                      md_ctl_format_bar((double)count / (double)most, BAR_COLUMNS, bar),
                      md_ctl_colour_off(context->colours));
    }
}

static void print_latency(struct md_ctl_context *context, const struct md_histogram *histogram)
{
    char text[MD_CTL_TEXT_SIZE];
    (void)fprintf(context->out, "latency   ");
    for (size_t i = 0; i < PERCENT_COUNT; i++)
        (void)fprintf(context->out, " p%g %s ", percents[i],
                      md_ctl_format_duration(md_histogram_percentile(histogram, percents[i]) / 1000, text));
    (void)fprintf(context->out, " max %s\n", md_ctl_format_duration(histogram->most / 1000, text));
    print_histogram(context, histogram);
}

static void print_text(struct md_ctl_context *context, const struct md_ctl_bench *bench,
                       const struct md_load_result *result)
{
    const struct md_load_options *load = &bench->load;
    md_ctl_print_clean(context->out, bench->model.name);
    if (load->rate > 0.0)
        (void)fprintf(context->out, ": open loop, %g/s, %s", load->rate, load->is_poisson ? "Poisson" : "fixed");
    else
        (void)fprintf(context->out, ": closed loop, %zu client%s", load->concurrency, load->concurrency > 1 ? "s" : "");
    (void)fprintf(context->out, ", %zu connection%s, %g s\n", load->connections, load->connections > 1 ? "s" : "",
                  result->seconds);
    (void)fprintf(context->out, "answered   %.1f/s of %.1f/s\n", per_second(result, result->codes[MD_OK]),
                  per_second(result, total(result)));
    for (size_t i = 0; i < MD_LOAD_CODES; i++)
        if (result->codes[i] > 0)
            (void)fprintf(context->out, "  %-20s %llu\n", md_code_name((enum md_code)i),
                          (unsigned long long)result->codes[i]);
    if (result->latency.count > 0)
        print_latency(context, &result->latency);
    (void)fprintf(context->out, "client     %.1f us of CPU a call\n", cpu_us_per_call(result));
    if (result->first_failure[0] == '\0')
        return;
    (void)fprintf(context->out, "failure    ");
    md_ctl_print_clean(context->out, result->first_failure);
    (void)fputc('\n', context->out);
}

int md_ctl_bench_report(struct md_ctl_context *context, const struct md_ctl_bench *bench,
                        const struct md_load_result *result)
{
    int exit_code = MD_CTL_EXIT_OK;
    if (context->json)
        exit_code = print_json(context, bench, result);
    else
        print_text(context, bench, result);
    return exit_code == MD_CTL_EXIT_OK && result->codes[MD_OK] == 0 ? MD_CTL_EXIT_REFUSED : exit_code;
}
