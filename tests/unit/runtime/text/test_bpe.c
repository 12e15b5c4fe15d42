/* test_bpe.c - byte pair encoding: order of merges, unknown characters, bytes, affixes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "text_fixture.h"

#include "clock.h"

#include <stdlib.h>
#include <string.h>

static void check(const char *model, const char *text, const char *expected)
{
    struct md_tokenizer *tokenizer = create_with(model, "");
    assert_string_equal(encoded(tokenizer, text), expected);
    md_tokenizer_destroy(tokenizer);
}

static void test_the_lowest_rank_merges_first(void **state)
{
    (void)state;
    check("{'type':'BPE','vocab':{'a':0,'b':1,'c':2,'ab':3,'bc':4},'merges':['b c','a b']}", "abc",
          "0:0-1 4:1-3");
    check("{'type':'BPE','vocab':{'a':0,'b':1,'c':2,'ab':3,'bc':4},'merges':[['a','b'],['b','c']]}", "abc",
          "3:0-2 2:2-3");
    check("{'type':'BPE','vocab':{'a':0,'aa':1,'aaaa':2},'merges':['a a','aa aa']}", "aaaaa", "2:0-4 0:4-5");
    check("{'type':'BPE','vocab':{'a':0,'aa':1},'merges':['a a']}", "aaa", "1:0-2 0:2-3"); /* leftmost */
}

static void test_ignore_merges_takes_whole_words(void **state)
{
    (void)state;
    check("{'type':'BPE','vocab':{'a':0,'b':1,'ab':2},'merges':[],'ignore_merges':true}", "ab", "2:0-2");
    check("{'type':'BPE','vocab':{'a':0,'b':1,'ab':2},'merges':[],'ignore_merges':false}", "ab",
          "0:0-1 1:1-2");
}

static void test_unknown_characters_are_dropped_marked_or_fused(void **state)
{
    (void)state;
    check("{'type':'BPE','vocab':{'a':0},'merges':[]}", "axa",
          "0:0-1 0:1-2"); /* as in the reference library */
    check("{'type':'BPE','unk_token':'u','vocab':{'a':0,'u':1},'merges':[]}", "axya",
          "0:0-1 1:1-2 1:2-3 0:3-4");
    check("{'type':'BPE','unk_token':'u','fuse_unk':true,'vocab':{'a':0,'u':1},'merges':[]}", "axya",
          "0:0-1 1:1-3 0:3-4");
    check("{'type':'BPE','unk_token':'u','vocab':{'a':0},'merges':[]}", "x",
          "ERROR \"x\" is not in the vocabulary, and neither is the unknown token \"u\"");
}

static void test_byte_fallback_writes_the_bytes_of_a_character(void **state)
{
    (void)state;
    const char *model = "{'type':'BPE','unk_token':'u','byte_fallback':true,"
                        "'vocab':{'u':0,'<0xC3>':1,'<0xA9>':2,'a':3},'merges':[]}";
    check(model, "a\xC3\xA9", "3:0-1 1:1-3 2:1-3");
    check(model, "\xC3\xA8", "0:0-2"); /* one of its bytes has no token */
}

static void test_prefix_and_suffix_are_part_of_the_tokens(void **state)
{
    (void)state;
    check("{'type':'BPE','continuing_subword_prefix':'##','end_of_word_suffix':'.',"
          "'vocab':{'a':0,'##b':1,'##c.':2,'ab':3,'abc.':4,'a.':5},'merges':['a ##b','ab ##c.']}",
          "abc", "4:0-3");
    check("{'type':'BPE','end_of_word_suffix':'.','vocab':{'a':0,'a.':1},'merges':[]}", "aa", "0:0-1 1:1-2");
}

static void test_a_giant_word_takes_bounded_time(void **state)
{
    (void)state;
    enum { SIZE = 2 * 1000 * 1000 };
    struct md_tokenizer *tokenizer = create_with(
        "{'type':'BPE','vocab':{'a':0,'aa':1,'aaaa':2,'aaaaaaaa':3},'merges':['a a','aa aa','aaaa aaaa']}",
        "");
    char *text = malloc(SIZE);
    assert_non_null(text);
    memset(text, 'a', SIZE);
    struct md_encoding encoding;
    md_encoding_init(&encoding, md_process_allocator());
    int64_t started_us = md_clock_us();
    assert_int_equal(md_tokenizer_encode(tokenizer, (struct md_span){ text, SIZE },
                                         (struct md_span){ NULL, 0 }, 0, &encoding, NULL),
                     MD_OK);
    assert_int_equal(encoding.count, SIZE / 8);
    assert_true(md_clock_us() - started_us < 60 * 1000 * 1000);
    md_encoding_cleanup(&encoding);
    md_tokenizer_destroy(tokenizer);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_lowest_rank_merges_first),
        cmocka_unit_test(test_ignore_merges_takes_whole_words),
        cmocka_unit_test(test_unknown_characters_are_dropped_marked_or_fused),
        cmocka_unit_test(test_byte_fallback_writes_the_bytes_of_a_character),
        cmocka_unit_test(test_prefix_and_suffix_are_part_of_the_tokens),
        cmocka_unit_test(test_a_giant_word_takes_bounded_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
