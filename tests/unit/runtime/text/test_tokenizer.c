/* test_tokenizer.c - what md_tokenizer_encode promises: ids, offsets, pairs, limits, errors, memory. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "text_fixture.h"

#include "clock.h"

#include <stdlib.h>
#include <string.h>

#define WHITESPACE "'pre_tokenizer':{'type':'Whitespace'}"
#define BERT_TEMPLATE                                                                                        \
    "'post_processor':{'type':'TemplateProcessing',"                                                         \
    "'single':[{'SpecialToken':{'id':'C','type_id':0}},{'Sequence':{'id':'A','type_id':0}},"                 \
    "{'SpecialToken':{'id':'S','type_id':0}}],"                                                              \
    "'pair':[{'SpecialToken':{'id':'C','type_id':0}},{'Sequence':{'id':'A','type_id':0}},"                   \
    "{'SpecialToken':{'id':'S','type_id':0}},{'Sequence':{'id':'B','type_id':1}},"                           \
    "{'SpecialToken':{'id':'S','type_id':1}}],"                                                              \
    "'special_tokens':{'C':{'id':'C','ids':[8],'tokens':['C']},'S':{'id':'S','ids':[9],'tokens':['S']}}}"

static void test_word_level_gives_ids_and_byte_offsets(void **state)
{
    (void)state;
    struct md_tokenizer *tokenizer = create_with(WORD_LEVEL("'caf\xC3\xA9':1,'!':2"), WHITESPACE);
    assert_string_equal(encoded(tokenizer, "caf\xC3\xA9! tea"), "1:0-5 2:5-6 0:7-10");
    assert_string_equal(encoded(tokenizer, ""), "");
    assert_int_equal(md_tokenizer_vocabulary_size(tokenizer), 3);
    assert_int_equal(md_tokenizer_pad_id(tokenizer), 0);
    md_tokenizer_destroy(tokenizer);
}

static void test_word_piece_takes_the_longest_parts(void **state)
{
    (void)state;
    struct md_tokenizer *tokenizer =
        create_with("{'type':'WordPiece','unk_token':'[UNK]','continuing_subword_prefix':'##','max_input_"
                    "chars_per_word':6,"
                    "'vocab':{'[UNK]':0,'un':1,'u':2,'##aff':3,'##a':4,'##able':5,'##f':6}}",
                    WHITESPACE);
    assert_string_equal(encoded(tokenizer, "unaff una"), "1:0-2 3:2-5 1:6-8 4:8-9");
    assert_string_equal(encoded(tokenizer, "unx"), "0:0-3");        /* a rest that no token starts */
    assert_string_equal(encoded(tokenizer, "unaffff"), "0:0-7");    /* seven characters, limit is six */
    md_tokenizer_destroy(tokenizer);
}

static void test_a_missing_unknown_token_is_told(void **state)
{
    (void)state;
    struct md_tokenizer *tokenizer =
        create_with("{'type':'WordLevel','unk_token':'?','vocab':{'a':1}}", WHITESPACE);
    assert_string_equal(encoded(tokenizer, "a"), "1:0-1");
    assert_string_equal(encoded(tokenizer, "a bc"),
                        "ERROR \"bc\" is not in the vocabulary, and neither is the unknown token \"?\"");
    md_tokenizer_destroy(tokenizer);
}

static void test_templates_put_special_tokens_around_one_and_two_texts(void **state)
{
    (void)state;
    struct md_tokenizer *tokenizer = create_with(WORD_LEVEL("'a':1,'b':2"), WHITESPACE "," BERT_TEMPLATE);
    assert_string_equal(encoded(tokenizer, "a b"), "(8) 1:0-1 2:2-3 (9)");
    assert_string_equal(encoded_pair(tokenizer, "a", "b", 0), "(8) 1:0-1 (9) 2:0-1 (9)");
    struct md_encoding encoding;
    md_encoding_init(&encoding, md_process_allocator());
    assert_int_equal(md_tokenizer_encode(tokenizer, md_span_of("a"), md_span_of("b"), 0, &encoding, NULL),
                     MD_OK);
    const int32_t types[] = { 0, 0, 0, 1, 1 };
    assert_memory_equal(encoding.type_ids, types, sizeof types);
    md_encoding_cleanup(&encoding);
    md_tokenizer_destroy(tokenizer);
}

static void test_a_limit_keeps_the_special_tokens(void **state)
{
    (void)state;
    struct md_tokenizer *tokenizer = create_with(WORD_LEVEL("'a':1,'b':2"), WHITESPACE "," BERT_TEMPLATE);
    assert_string_equal(encoded_pair(tokenizer, "a b a b", NULL, 4), "(8) 1:0-1 2:2-3 (9)");
    assert_string_equal(encoded_pair(tokenizer, "a b a b", "b b b b b", 7),
                        "(8) 1:0-1 2:2-3 (9) 2:0-1 2:2-3 (9)");
    assert_string_equal(encoded_pair(tokenizer, "a", "b b b b b", 6), "(8) 1:0-1 (9) 2:0-1 2:2-3 (9)");
    assert_string_equal(encoded_pair(tokenizer, "a b", NULL, 2), "(8) (9)");
    assert_string_equal(encoded_pair(tokenizer, "a b", NULL, 1),
                        "ERROR a limit of 1 tokens, but there are 2 special tokens");
    struct md_encoding encoding;
    md_encoding_init(&encoding, md_process_allocator());
    struct md_span none = { NULL, 0 };
    assert_int_equal(md_tokenizer_encode(tokenizer, md_span_of("a b"), none, 3, &encoding, NULL), MD_OK);
    assert_true(encoding.truncated);
    assert_int_equal(md_tokenizer_encode(tokenizer, md_span_of("a b"), none, 4, &encoding, NULL), MD_OK);
    assert_false(encoding.truncated);
    md_encoding_cleanup(&encoding);
    md_tokenizer_destroy(tokenizer);
}

static void test_truncation_follows_direction_and_strategy(void **state)
{
    (void)state;
    struct md_tokenizer *left = create_with(
        WORD_LEVEL("'a':1,'b':2"),
        WHITESPACE ",'truncation':{'direction':'Left','max_length':2,'strategy':'LongestFirst','stride':0}");
    assert_string_equal(encoded(left, "a a b a"), "2:4-5 1:6-7");
    md_tokenizer_destroy(left);
    struct md_tokenizer *second = create_with(
        WORD_LEVEL("'a':1,'b':2"),
        WHITESPACE ",'truncation':{'direction':'Right','max_length':4,'strategy':'OnlySecond','stride':0}");
    assert_string_equal(encoded_pair(second, "a a", "b b b", 0), "1:0-1 1:2-3 2:0-1 2:2-3");
    assert_string_equal(encoded_pair(second, "a a a a", "b", 0),
                        "ERROR 5 tokens, limit is 4, and only the second text with 1 tokens may be cut");
    md_tokenizer_destroy(second);
}

static void test_text_that_is_not_utf8_is_refused_at_its_byte(void **state)
{
    (void)state;
    struct md_tokenizer *tokenizer = create_with(WORD_LEVEL("'a':1"), WHITESPACE);
    assert_string_equal(encoded(tokenizer, "ab\xFFz"), "ERROR not UTF-8 at byte 2");
    assert_string_equal(encoded(tokenizer, "\xED\xA0\x80"), "ERROR not UTF-8 at byte 0"); /* a surrogate */
    assert_string_equal(encoded(tokenizer, "a\xC3"), "ERROR not UTF-8 at byte 1");        /* cut short */
    md_tokenizer_destroy(tokenizer);
}

static void test_nul_bytes_are_characters_like_others(void **state)
{
    (void)state;
    struct md_tokenizer *tokenizer = create_with(WORD_LEVEL("'a':1"), WHITESPACE);
    struct md_encoding encoding;
    md_encoding_init(&encoding, md_process_allocator());
    struct md_span text = { "a \0 a", 5 };
    struct md_span none = { NULL, 0 };
    assert_int_equal(md_tokenizer_encode(tokenizer, text, none, 0, &encoding, NULL), MD_OK);
    assert_int_equal(encoding.count, 3);
    assert_int_equal(encoding.ids[1], 0);
    assert_int_equal(encoding.starts[2], 4);
    md_encoding_cleanup(&encoding);
    md_tokenizer_destroy(tokenizer);
}

static void test_added_tokens_are_cut_out_of_the_text(void **state)
{
    (void)state;
    struct md_tokenizer *tokenizer = create_with(
        WORD_LEVEL("'a':1,'b':2"), "'normalizer':{'type':'Lowercase'}," WHITESPACE ",'added_tokens':["
                                   "{'id':5,'content':'<M>','lstrip':true,'rstrip':false,'single_word':false,"
                                   "'normalized':false,'special':true},"
                                   "{'id':6,'content':'<M>>','lstrip':false,'rstrip':true,'single_word':"
                                   "false,'normalized':false,'special':true},"
                                   "{'id':7,'content':'FOO','lstrip':false,'rstrip':false,'single_word':true,"
                                   "'normalized':true,'special':false}]");
    assert_string_equal(encoded(tokenizer, "a <M>b"), "1:0-1 5:1-5 2:5-6");
    assert_string_equal(encoded(tokenizer, "a<M>>  b"), "1:0-1 6:1-7 2:7-8"); /* the longest one */
    assert_string_equal(encoded(tokenizer, "a<m>"), "1:0-1 0:1-2 0:2-3 0:3-4"); /* not normalized */
    assert_string_equal(encoded(tokenizer, "Foo afoo"), "7:0-3 0:4-8");           /* normalized, alone */
    assert_int_equal(md_tokenizer_vocabulary_size(tokenizer), 8);
    md_tokenizer_destroy(tokenizer);
}

/* Memory that an encoding has grown to is used again: a second round allocates nothing. */
static void test_encoding_again_allocates_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = { "Caf\xC3\xA9 a b", "b \xE4\xBD\xA0\xE5\xA5\xBD a", "",
                                         "a a a a a a a" };
    struct md_faulty_allocator faulty;
    md_faulty_init(&faulty, MD_FAULTY_NEVER);
    struct md_tokenizer *tokenizer =
        create_with(WORD_LEVEL("'a':1,'b':2"), "'normalizer':{'type':'BertNormalizer'},"
                                               "'pre_tokenizer':{'type':'BertPreTokenizer'}," BERT_TEMPLATE);
    struct md_encoding encoding;
    struct md_span none = { NULL, 0 };
    md_encoding_init(&encoding, &faulty.allocator);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
            assert_int_equal(md_tokenizer_encode(tokenizer, md_span_of(texts[i]), none, 0, &encoding, NULL),
                             MD_OK);
        atomic_store(&faulty.countdown, 0); /* from now on there is no memory */
    }
    md_encoding_cleanup(&encoding);
    assert_int_equal(faulty.live, 0);
    md_tokenizer_destroy(tokenizer);
}

static void test_encode_survives_every_allocation_failure(void **state)
{
    (void)state;
    struct md_tokenizer *tokenizer = create_with(
        WORD_LEVEL("'a':1,'b':2"),
        "'normalizer':{'type':'Sequence','normalizers':[{'type':'NFKC'},{'type':'Replace','pattern':{'Regex':"
        "'x+'},"
        "'content':'y'}]},'pre_tokenizer':{'type':'Sequence','pretokenizers':[{'type':'Metaspace','"
        "replacement':'_'},"
        "{'type':'Split','pattern':{'Regex':'[0-9]'},'behavior':'Isolated','invert':false}]}," BERT_TEMPLATE);
    for (long nth = 0;; nth++) {
        struct md_faulty_allocator faulty;
        struct md_encoding encoding;
        md_faulty_init(&faulty, nth);
        md_encoding_init(&encoding, &faulty.allocator);
        enum md_code code = md_tokenizer_encode(tokenizer, md_span_of("a e\xCC\x81\xCC\xA3\xCC\x80 xx 12 b"),
                                                md_span_of("b"), 0, &encoding, NULL);
        if (code != MD_OK)
            assert_int_equal(code, MD_RESOURCE_EXHAUSTED);
        else
            assert_true(encoding.count > 5);
        md_encoding_cleanup(&encoding);
        assert_int_equal(faulty.live, 0);
        if (code == MD_OK)
            break;
    }
    md_tokenizer_destroy(tokenizer);
}

/* A word of ten million bytes, marks by the million: the time stays in proportion. */
static void test_a_giant_text_takes_bounded_time(void **state)
{
    (void)state;
    enum { SIZE = 10 * 1000 * 1000 };
    char *text = malloc(SIZE);
    assert_non_null(text);
    struct md_tokenizer *tokenizer = create_with(
        "{'type':'WordPiece','unk_token':'[UNK]','max_input_chars_per_word':1000000000,"
        "'vocab':{'[UNK]':0,'a':1,'##a':2,'##aaaaaaaaaaaaaaaaaaaaaaaa':3}}",
        "'normalizer':{'type':'NFC'}," WHITESPACE);
    struct md_encoding encoding;
    struct md_span none = { NULL, 0 };
    md_encoding_init(&encoding, md_process_allocator());
    int64_t started_us = md_clock_us();
    memset(text, 'a', SIZE);
    assert_int_equal(md_tokenizer_encode(tokenizer, (struct md_span){ text, SIZE }, none, 8, &encoding, NULL),
                     MD_OK);
    assert_int_equal(encoding.count, 8);
    for (size_t i = 0; i + 1 < SIZE; i += 2)
        memcpy(text + i, i % 4 == 0 ? "\xCC\x81" : "\xCC\xA3", 2); /* classes 230 and 220 in turn */
    assert_int_equal(md_tokenizer_encode(tokenizer, (struct md_span){ text, SIZE }, none, 8, &encoding, NULL),
                     MD_OK);
    assert_true(md_clock_us() - started_us < 60 * 1000 * 1000); /* seconds even under sanitizers, not hours */
    md_encoding_cleanup(&encoding);
    md_tokenizer_destroy(tokenizer);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_word_level_gives_ids_and_byte_offsets),
        cmocka_unit_test(test_word_piece_takes_the_longest_parts),
        cmocka_unit_test(test_a_missing_unknown_token_is_told),
        cmocka_unit_test(test_templates_put_special_tokens_around_one_and_two_texts),
        cmocka_unit_test(test_a_limit_keeps_the_special_tokens),
        cmocka_unit_test(test_truncation_follows_direction_and_strategy),
        cmocka_unit_test(test_text_that_is_not_utf8_is_refused_at_its_byte),
        cmocka_unit_test(test_nul_bytes_are_characters_like_others),
        cmocka_unit_test(test_added_tokens_are_cut_out_of_the_text),
        cmocka_unit_test(test_encoding_again_allocates_nothing),
        cmocka_unit_test(test_encode_survives_every_allocation_failure),
        cmocka_unit_test(test_a_giant_text_takes_bounded_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
