/* test_unigram.c - Unigram, decoders, and the files that are read as a tokenizer.json. tests/tokenizers has the
 * comparison with the reference library. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "text_fixture.h"
#include "tokenizer_files.h"

#include <string.h>

#define UNIGRAM(rest)                                                                                                  \
    "{'type':'Unigram','unk_id':0" rest ",'vocab':[['<unk>',0],['a',-1],['b',-1.5],['ab',-2],['abc',-9],['c',-3],"     \
    "['<0xC3>',-9],['<0xA9>',-9]]}"

static void check(const struct md_tokenizer *tokenizer, const char *text, const char *expected)
{
    assert_string_equal(encoded(tokenizer, text), expected);
}

static void test_the_best_way_wins(void **state)
{
    (void)state;
    struct md_tokenizer *tokenizer = create_with(UNIGRAM(""), "");
    check(tokenizer, "ab", "3:0-2");
    check(tokenizer, "abc", "3:0-2 5:2-3");
    check(tokenizer, "axyb", "1:0-1 0:1-3 2:3-4"); /* what is unknown is one token */
    check(tokenizer, "\xC3\xA9", "0:0-2");
    check(tokenizer, "", "");
    md_tokenizer_destroy(tokenizer);
}

static void test_unknown_text_falls_back_to_bytes(void **state)
{
    (void)state;
    struct md_tokenizer *tokenizer = create_with(UNIGRAM(",'byte_fallback':true"), "");
    check(tokenizer, "a\xC3\xA9", "1:0-1 6:1-3 7:1-3");
    check(tokenizer, "x", "0:0-1"); /* not all of its bytes are tokens */
    md_tokenizer_destroy(tokenizer);
}

static void check_decoded(const struct md_tokenizer *tokenizer, const int32_t *ids, size_t count, const char *expected)
{
    struct md_decoding decoding;
    md_decoding_init(&decoding, md_process_allocator());
    assert_int_equal(md_tokenizer_decode(tokenizer, ids, count, true, &decoding, NULL), MD_OK);
    assert_int_equal(decoding.text.size, strlen(expected));
    assert_memory_equal(decoding.text.bytes, expected, decoding.text.size);
    md_decoding_cleanup(&decoding);
}

static void test_decoders(void **state)
{
    (void)state;
    static const int32_t bytes[] = { 1, 6, 7, 6, 2 };
    struct md_tokenizer *tokenizer = create_with(UNIGRAM(""), "'decoder':{'type':'ByteFallback'}");
    check_decoded(tokenizer, bytes, 3, "a\xC3\xA9");
    check_decoded(tokenizer, bytes + 2, 3, "\xEF\xBF\xBD\xEF\xBF\xBD" "b");
    check_decoded(tokenizer, bytes, 0, "");
    md_tokenizer_destroy(tokenizer);
    static const int32_t words[] = { 1, 2, 3, 99, 4 };
    tokenizer = create_with(WORD_LEVEL("'do':1,'##g':2,'.':3,'n\\u0027t':4"), "'decoder':{'type':'WordPiece'}");
    check_decoded(tokenizer, words, 5, "dog.n't");
    md_tokenizer_destroy(tokenizer);
    tokenizer = create_with(WORD_LEVEL("'a':1,'b':2"), "");
    check_decoded(tokenizer, words, 2, "a b");
    md_tokenizer_destroy(tokenizer);
}

static void test_a_vocabulary_of_lines(void **state)
{
    (void)state;
    char *json = NULL;
    size_t size = 0;
    struct md_tokenizer *tokenizer = NULL;
    struct md_span lines = md_span_of("[UNK]\r\n[CLS]\n[SEP]\nplay\n##ing\n\"\\");
    assert_int_equal(md_tokenizer_json_from_vocabulary(md_process_allocator(), lines, true, &json, &size, NULL), MD_OK);
    assert_int_equal(md_tokenizer_create(md_process_allocator(), json, size, &tokenizer, NULL), MD_OK);
    check(tokenizer, "Playing", "(1) 3:0-4 4:4-7 (2)");
    md_release(md_process_allocator(), json);
    md_tokenizer_destroy(tokenizer);
    assert_int_equal(
        md_tokenizer_json_from_vocabulary(md_process_allocator(), md_span_of("a\nb"), true, &json, &size, NULL),
        MD_INVALID_ARGUMENT);
}

/* <unk> (unknown), <s> (control), U+2581 a (-1), b (-2.5); no character map, extra spaces go. */
static const char model[] = "\x0A\x0E\x0A\x05<unk>\x15\x00\x00\x00\x00\x18\x02"
                            "\x0A\x0C\x0A\x03<s>\x15\x00\x00\x00\x00\x18\x03"
                            "\x0A\x0B\x0A\x04\xE2\x96\x81" "a\x15\x00\x00\x80\xBF"
                            "\x0A\x08\x0A\x01" "b\x15\x00\x00\x20\xC0";

static void test_a_sentencepiece_model(void **state)
{
    (void)state;
    char *json = NULL;
    size_t size = 0;
    struct md_tokenizer *tokenizer = NULL;
    struct md_span whole = { model, sizeof model - 1 };
    assert_int_equal(md_tokenizer_json_from_sentencepiece(md_process_allocator(), whole, &json, &size, NULL), MD_OK);
    assert_int_equal(md_tokenizer_create(md_process_allocator(), json, size, &tokenizer, NULL), MD_OK);
    check(tokenizer, " ab  ax", "2:1-2 3:2-3 2:4-6 0:6-7");
    md_release(md_process_allocator(), json);
    md_tokenizer_destroy(tokenizer);
    for (size_t cut = 1; cut < 16; cut++) {
        struct md_span part = { model, cut };
        assert_int_equal(md_tokenizer_json_from_sentencepiece(md_process_allocator(), part, &json, &size, NULL),
                         MD_INVALID_ARGUMENT);
    }
}

/* Makes, encodes and decodes with an allocator that fails at the nth allocation; true: it did not fail. */
static bool survives(int nth)
{
    static const int32_t ids[] = { 1, 6, 7 };
    struct md_faulty_allocator faulty;
    struct md_tokenizer *tokenizer = NULL;
    struct md_encoding encoding;
    struct md_decoding decoding;
    md_faulty_init(&faulty, nth);
    faulty.once = true; /* also what may fail without harm */
    md_encoding_init(&encoding, &faulty.allocator);
    md_decoding_init(&decoding, &faulty.allocator);
    enum md_code code = create_from(
        &faulty.allocator,
        "{'model':" UNIGRAM(",'byte_fallback':true") ",'decoder':{'type':'Sequence','decoders':[{'type':'ByteFallback'},"
        "{'type':'Replace','pattern':{'Regex':'a'},'content':'b'}]},'normalizer':{'type':'Precompiled',"
        "'precompiled_charsmap':'CAAAAAAEAAAAAAAAYQA='},'added_tokens':[{'id':0,'content':'<unk>'}]}",
        &tokenizer, NULL);
    if (code == MD_OK)
        code = md_tokenizer_encode(tokenizer, md_span_of("abc"), (struct md_span){ NULL, 0 }, 0, &encoding, NULL);
    if (code == MD_OK)
        code = md_tokenizer_decode(tokenizer, ids, 3, false, &decoding, NULL);
    assert_true(code == MD_OK || code == MD_RESOURCE_EXHAUSTED);
    md_encoding_cleanup(&encoding);
    md_decoding_cleanup(&decoding);
    md_tokenizer_destroy(tokenizer);
    assert_int_equal(faulty.live, 0);
    return code == MD_OK && atomic_load(&faulty.failed) == 0;
}

static void test_survives_every_allocation_failure(void **state)
{
    (void)state;
    int nth = 0;
    while (!survives(nth))
        nth++;
    assert_true(nth > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_best_way_wins),
        cmocka_unit_test(test_unknown_text_falls_back_to_bytes),
        cmocka_unit_test(test_decoders),
        cmocka_unit_test(test_a_vocabulary_of_lines),
        cmocka_unit_test(test_a_sentencepiece_model),
        cmocka_unit_test(test_survives_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
