/* test_stages.c - each normalizer, pre-tokenizer and post-processor by itself: what it makes of a text, and
 * where the offsets point. The expected values are those of the reference library (tokenizers 0.23). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "text_fixture.h"

#include <stdio.h>
#include <string.h>

struct stage_case {
    const char *vocab; /* besides [UNK] */
    const char *rest;
    const char *text;
    const char *expected;
};

static void check(const struct stage_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char model[1024];
        (void)snprintf(model, sizeof model, WORD_LEVEL("%s"), cases[i].vocab);
        struct md_tokenizer *tokenizer = create_with(model, cases[i].rest);
        const char *found = encoded(tokenizer, cases[i].text);
        if (strcmp(found, cases[i].expected) != 0)
            fail_msg("case %zu, %s:\n found    %s\n expected %s", i, cases[i].rest, found, cases[i].expected);
        md_tokenizer_destroy(tokenizer);
    }
}

#define N(json) "'normalizer':" json
#define P(json) "'pre_tokenizer':" json

static void test_normalizers_change_text_and_keep_offsets(void **state)
{
    (void)state;
    static const struct stage_case cases[] = {
        { "'abc':1", N("{'type':'Lowercase'}"), "ABC", "1:0-3" },
        { "'i\xCC\x87':1", N("{'type':'Lowercase'}"), "\xC4\xB0", "1:0-2" }, /* I with a dot */
        { "'\xC3\xA9':1", N("{'type':'NFC'}"), "e\xCC\x81", "1:0-1" },       /* as the reference has it */
        { "'e\xCC\x81':1", N("{'type':'NFD'}"), "\xC3\xA9", "1:0-2" },
        { "'fi':1", N("{'type':'NFKC'}"), "\xEF\xAC\x81", "1:0-3" },
        { "'q\xCC\xA3\xCC\x87':1", N("{'type':'NFD'}"), "q\xCC\x87\xCC\xA3",
          "1:0-5" }, /* marks are put in order */
        { "'\xEA\xB0\x81':1", N("{'type':'NFC'}"), "\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8",
          "1:0-3" }, /* Hangul */
        { "'e':1", N("{'type':'Sequence','normalizers':[{'type':'NFD'},{'type':'StripAccents'}]}"),
          "\xC3\xA9", "1:0-2" },
        { "'a b':1", N("{'type':'Strip','strip_left':true,'strip_right':true}"),
          " \xC2\xA0"
          "a b \n",
          "1:3-6" },
        { "'a ':1", N("{'type':'Strip','strip_left':true,'strip_right':false}"), " a ", "1:1-3" },
        { "'b__b':1", N("{'type':'Replace','pattern':{'String':'a'},'content':'_'}"), "baab", "1:0-4" },
        { "'b-b':1", N("{'type':'Replace','pattern':{'Regex':'a+'},'content':'-'}"), "baab", "1:0-4" },
        { "'_a':1", N("{'type':'Prepend','prepend':'_'}"), "a", "1:0-1" },
        { "' a ':1", N("{'type':'Nmt'}"), "\ta\x01\xE2\x80\x8B", "1:0-6" },
        { "'\xC3\x83\xC2\xA9\xC4\xA0':1", N("{'type':'ByteLevel'}"), "\xC3\xA9 ", "1:0-3" },
        { "'cafe':1",
          N("{'type':'BertNormalizer','clean_text':true,'handle_chinese_chars':true,"
            "'strip_accents':null,'lowercase':true}"),
          "C\x01\xC3\x81"
          "F\xC3\x89",
          "1:0-7" },
        { "' \xE4\xBD\xA0 ':1", N("{'type':'BertNormalizer','lowercase':false}"), "\xE4\xBD\xA0", "1:0-3" },
    };
    check(cases, sizeof cases / sizeof cases[0]);
}

static void test_pre_tokenizers_split_text(void **state)
{
    (void)state;
    static const struct stage_case cases[] = {
        { "'a':1,'_b':2,'!!':3", P("{'type':'Whitespace'}"), "a _b!!\t", "1:0-1 2:2-4 3:4-6" },
        { "'a!':1", P("{'type':'WhitespaceSplit'}"),
          " a!\xE3\x80\x80"
          "a! ",
          "1:1-3 1:6-8" },
        { "'a':1,'!':2", P("{'type':'BertPreTokenizer'}"), "a!! a", "1:0-1 2:1-2 2:2-3 1:4-5" },
        { "'a':1,'!':2", P("{'type':'Punctuation'}"), "a!!a", "1:0-1 2:1-2 2:2-3 1:3-4" },
        { "'a':1,'!!':2", P("{'type':'Punctuation','behavior':'Contiguous'}"), "a!!a", "1:0-1 2:1-3 1:3-4" },
        { "'a':1,'12':2", P("{'type':'Digits','individual_digits':false}"), "a12a", "1:0-1 2:1-3 1:3-4" },
        { "'a':1,'1':2", P("{'type':'Digits','individual_digits':true}"), "a11", "1:0-1 2:1-2 2:2-3" },
        { "'a':1", P("{'type':'CharDelimiterSplit','delimiter':'-'}"), "a--a", "1:0-1 1:3-4" },
        { "'ab':1,'c':2", P("{'type':'FixedLength','length':2}"), "ababc", "1:0-2 1:2-4 2:4-5" },
        { "'a':1", P("{'type':'Split','pattern':{'String':'-'},'behavior':'Removed','invert':false}"), "a--a",
          "1:0-1 1:3-4" },
        { "'a':1,'-':2", P("{'type':'Split','pattern':{'String':'-'},'behavior':'Isolated','invert':false}"),
          "a--a", "1:0-1 2:1-2 2:2-3 1:3-4" },
        { "'a':1,'-':2,'a-':3",
          P("{'type':'Split','pattern':{'String':'-'},'behavior':'MergedWithPrevious','invert':false}"),
          "a--a", "3:0-2 2:2-3 1:3-4" },
        { "'a':1,'-':2,'-a':3",
          P("{'type':'Split','pattern':{'String':'-'},'behavior':'MergedWithNext','invert':false}"), "a--a",
          "1:0-1 2:1-2 3:2-4" },
        { "'a':1,'--':2",
          P("{'type':'Split','pattern':{'String':'-'},'behavior':'Contiguous','invert':false}"), "a--a",
          "1:0-1 2:1-3 1:3-4" },
        { "'A':1,'B':2", P("{'type':'Split','pattern':{'Regex':'[A-Z]'},'behavior':'Removed','invert':true}"),
          "A-B", "1:0-1 2:2-3" },
        { "'_a':1,'_b':2", P("{'type':'Metaspace','replacement':'_','prepend_scheme':'always','split':true}"),
          "a b", "1:0-1 2:1-3" },
        { "'a':1,'_b':2", P("{'type':'Metaspace','replacement':'_','prepend_scheme':'never','split':true}"),
          "a b", "1:0-1 2:1-3" },
        { "'_a_b':1", P("{'type':'Metaspace','replacement':'_','split':false}"), "a b", "1:0-3" },
        { "'a':1,'\xC4\xA0"
          "b':2,'\xC4\xA0':3",
          P("{'type':'ByteLevel','add_prefix_space':false}"), "a  b", "1:0-1 3:1-2 2:2-4" },
        { "'\xC4\xA0"
          "a':1,'\xC4\x8A':2",
          P("{'type':'ByteLevel','add_prefix_space':true}"), "a\n", "1:0-1 2:1-2" },
    };
    check(cases, sizeof cases / sizeof cases[0]);
}

static void test_post_processors_add_tokens_and_trim_offsets(void **state)
{
    (void)state;
    static const struct stage_case cases[] = {
        { "'a':1", "'post_processor':{'type':'BertProcessing','cls':['C',8],'sep':['S',9]}", "a",
          "(8) 1:0-1 (9)" },
        { "'a':1,'\xC4\xA0"
          "b':2",
          P("{'type':'ByteLevel','add_prefix_space':false}") ",'post_processor':{'type':'RobertaProcessing',"
                                                             "'cls':['C',8],'sep':['S',9],'trim_offsets':"
                                                             "true,'add_prefix_space':false}",
          "a b", "(8) 1:0-1 2:2-3 (9)" },
        { "'a':1,'\xC4\xA0"
          "b':2",
          P("{'type':'ByteLevel','add_prefix_space':false}") ",'post_processor':{'type':'ByteLevel',"
                                                             "'trim_offsets':false}",
          "a b", "1:0-1 2:1-3" },
        { "'\xC4\xA0"
          "a':1",
          P("{'type':'ByteLevel','add_prefix_space':true}") ",'post_processor':{'type':'Sequence','"
                                                            "processors':["
                                                            "{'type':'ByteLevel','trim_offsets':true,'add_"
                                                            "prefix_space':true},"
                                                            "{'type':'BertProcessing','cls':['C',8],'sep':['"
                                                            "S',9]}]}",
          "a a", "(8) 1:0-1 1:2-3 (9)" },
    };
    check(cases, sizeof cases / sizeof cases[0]);
}

static void test_a_pattern_that_backtracks_without_end_is_stopped(void **state)
{
    (void)state;
    struct md_tokenizer *tokenizer = create_with(
        WORD_LEVEL("'a':1"),
        P("{'type':'Split','pattern':{'Regex':'(a|aa|aaa)+c'},'behavior':'Isolated','invert':false}"));
    char text[200];
    memset(text, 'a', sizeof text - 1);
    memcpy(text + sizeof text - 4, "b c", 4); /* there is a c, but the run of a's does not end in it */
    assert_string_equal(
        encoded(tokenizer, text),
        "ERROR a regular expression of tokenizer.json needs too many steps at byte 0 of the text");
    md_tokenizer_destroy(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalizers_change_text_and_keep_offsets),
        cmocka_unit_test(test_pre_tokenizers_split_text),
        cmocka_unit_test(test_post_processors_add_tokens_and_trim_offsets),
        cmocka_unit_test(test_a_pattern_that_backtracks_without_end_is_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
