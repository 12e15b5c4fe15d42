/* gelu.c - the spellings of GELU as one node:
 *
 *     x * 0.5 * (1 + Erf(x / sqrt(2)))                                   com.microsoft Gelu
 *     x * 0.5 * (1 + Tanh(sqrt(2 / pi) * (x + 0.044715 * x * x * x)))    com.microsoft FastGelu
 *
 * in any order of factors, with divisions by constants, powers as Pow, 0.5 inside the bracket, or x before it in the
 * tanh form. A product is taken apart into its factors first, so that orders need not be listed. */
#include "graph_edit.h"
#include "operator.h"
#include "pass.h"

enum { MAX_FACTORS = 4 };

/* factor * values[0] * values[1] ... */
struct product {
    double factor;
    int32_t values[MAX_FACTORS];
    size_t count; /* above MAX_FACTORS: too many */
};

struct search {
    const struct md_graph *graph;
    const uint32_t *uses;
};

static void add_factor(struct product *product, int32_t value)
{
    if (product->count < MAX_FACTORS)
        product->values[product->count] = value;
    product->count++;
}

/* Multiplies `value` into the product, taken apart as far as its parts have no other reader, but never past `stop`. */
static void take_apart(const struct search *search, int32_t value, int32_t stop, bool first, struct product *product)
{
    const struct md_graph *graph = search->graph;
    double number;
    const struct md_node *node;
    if (value == stop || value == MD_NO_VALUE || product->count > MAX_FACTORS) {
        add_factor(product, value);
    } else if (md_graph_scalar(graph, value, &number)) {
        product->factor *= number;
    } else if (!first && search->uses[value] != 1) {
        add_factor(product, value);
    } else if ((node = md_graph_producer(graph, value, "Mul")) != NULL) {
        take_apart(search, node->inputs[0], stop, false, product);
        take_apart(search, node->inputs[1], stop, false, product);
    } else if ((node = md_graph_producer(graph, value, "Div")) != NULL &&
               md_graph_scalar(graph, node->inputs[1], &number)) {
        product->factor /= number;
        take_apart(search, node->inputs[0], stop, false, product);
    } else if ((node = md_graph_producer(graph, value, "Pow")) != NULL && node->inputs[0] == stop &&
               md_graph_scalar(graph, node->inputs[1], &number) && (number == 2.0 || number == 3.0)) {
        for (int i = 0; i < (int)number; i++)
            add_factor(product, stop);
    } else {
        add_factor(product, value);
    }
}

static struct product product_of(const struct search *search, int32_t value, int32_t stop)
{
    struct product product = { .factor = 1.0 };
    take_apart(search, value, stop, true, &product);
    return product;
}

/* The other summand when value is `number` + it; else MD_NO_VALUE. */
static int32_t sum_with(const struct search *search, int32_t value, double number)
{
    const struct md_node *node = md_graph_producer(search->graph, value, "Add");
    for (size_t i = 0; node != NULL && i < 2; i++)
        if (md_graph_scalar_is(search->graph, node->inputs[i], number))
            return node->inputs[1 - i];
    return MD_NO_VALUE;
}

/* Is value = factor * x^power? */
static bool is_power(const struct search *search, int32_t value, int32_t x, double factor, size_t power)
{
    struct product product = product_of(search, value, x);
    if (product.count != power || !md_number_is(product.factor, factor))
        return false;
    for (size_t i = 0; i < power; i++)
        if (product.values[i] != x)
            return false;
    return true;
}

/* Is value = sqrt(2 / pi) * (x + 0.044715 x^3), or x * (1 + 0.044715 x^2) in the bracket's place? */
static bool is_tanh_argument(const struct search *search, int32_t value, int32_t x)
{
    struct product product = product_of(search, value, x);
    if (!md_number_is(product.factor, 0.79788456080286535588) || product.count < 1 || product.count > 2)
        return false;
    if (product.count == 2) {
        size_t at = product.values[0] == x ? 1 : 0;
        int32_t rest = sum_with(search, product.values[at], 1.0);
        return product.values[1 - at] == x && rest != MD_NO_VALUE && is_power(search, rest, x, 0.044715, 2);
    }
    const struct md_node *sum = md_graph_producer(search->graph, product.values[0], "Add");
    for (size_t i = 0; sum != NULL && i < 2; i++)
        if (sum->inputs[i] == x && is_power(search, sum->inputs[1 - i], x, 0.044715, 3))
            return true;
    return false;
}

/* The operator that value = 1 + erf or tanh (or half of both) makes of x * 0.5 * value; NULL: another thing. `half`
 * says that the 0.5 has yet to be found inside the bracket. */
static const char *bracket_kind(const struct search *search, int32_t value, int32_t x, bool half)
{
    int32_t inner = sum_with(search, value, half ? 0.5 : 1.0);
    if (inner != MD_NO_VALUE && half) {
        struct product product = product_of(search, inner, MD_NO_VALUE);
        inner = product.count == 1 && md_number_is(product.factor, 0.5) ? product.values[0] : MD_NO_VALUE;
    }
    const struct md_node *node = md_graph_producer(search->graph, inner, "Erf");
    if (node != NULL)
        return is_power(search, node->inputs[0], x, 0.70710678118654752440, 1) ? "Gelu" : NULL;
    node = md_graph_producer(search->graph, inner, "Tanh");
    return node != NULL && is_tanh_argument(search, node->inputs[0], x) ? "FastGelu" : NULL;
}

static enum md_code fuse(struct md_model *model, const struct search *search, struct md_node *node,
                         struct md_error *error)
{
    if (!md_node_is(node, "Mul") && !md_node_is(node, "Div"))
        return MD_OK;
    struct product product = product_of(search, node->outputs[0], MD_NO_VALUE);
    if (product.count != 2)
        return MD_OK;
    for (size_t i = 0; i < 2; i++) {
        const int32_t x = product.values[i];
        const bool whole = md_number_is(product.factor, 0.5), bare = md_number_is(product.factor, 1.0);
        const char *kind = whole || bare ? bracket_kind(search, product.values[1 - i], x, bare) : NULL;
        if (kind != NULL)
            return md_graph_rewrite(model, node, MD_MICROSOFT, kind, &x, 1, NULL, 0, error);
    }
    return MD_OK;
}

static enum md_code apply(struct md_model *model, struct md_graph *graph, struct md_error *error)
{
    uint32_t *uses;
    MD_TRY(md_graph_count_uses(model, graph, &uses, error));
    const struct search search = { graph, uses };
    for (size_t i = 0; i < graph->node_count; i++)
        MD_TRY(fuse(model, &search, &graph->nodes[i], error));
    return MD_OK;
}

const struct md_pass md_pass_gelu = { "gelu", apply };
