/* test_tokenizer_json.c - tokenizer.json files that are wrong, hostile, or beyond this build: each is refused
 * with the path of what is wrong. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "text_fixture.h"

#include <stdlib.h>
#include <string.h>

#define MODEL "'model':{'type':'WordLevel','unk_token':'u','vocab':{'u':0,'a':1}}"

struct refusal {
    const char *json;
    enum md_code code;
    const char *message;
};

static const struct refusal refusals[] = {
    { "", MD_INVALID_ARGUMENT, "tokenizer.json: line 1 column 0: " },
    { "{'model':", MD_INVALID_ARGUMENT, "tokenizer.json: line 1 column 9: " },
    { "[]", MD_INVALID_ARGUMENT, "tokenizer.json: expected an object, found an array" },
    { "{}", MD_INVALID_ARGUMENT, "tokenizer.json: model: expected an object, found nothing" },
    { "{'version':'2.0'," MODEL "}", MD_UNIMPLEMENTED,
      "tokenizer.json: version: \"2.0\", this build knows \"1.0\"" },
    { "{'model':{'type':'WordLevel','vocab':{'x':'y'}}}", MD_INVALID_ARGUMENT,
      "tokenizer.json: model.vocab.x: expected an integer, found a string" },
    { "{'model':{'type':'WordLevel','vocab':{'##x':1.5}}}", MD_INVALID_ARGUMENT,
      "tokenizer.json: model.vocab[\"##x\"]: expected an integer, found a number with a fraction" },
    { "{'model':{'type':'WordLevel','vocab':{'x':-1}}}", MD_INVALID_ARGUMENT,
      "tokenizer.json: model.vocab.x: -1 is not in [0,16777215]" },
    { "{'model':{'type':'WordLevel','vocab':{'x':4000000000}}}", MD_INVALID_ARGUMENT,
      "tokenizer.json: model.vocab.x: 4000000000 is not in [0,16777215]" },
    { "{'model':{'type':'WordLevel','vocab':{'x':1,'y':1}}}", MD_INVALID_ARGUMENT,
      "tokenizer.json: model.vocab.y: id 1 is also that of \"x\"" },
    { "{'model':{'type':'WordLevel','vocab':{'x':1,'x':2}}}", MD_INVALID_ARGUMENT,
      "tokenizer.json: model.vocab.x: twice" },
    { "{'model':{'type':'WordLevel'}}", MD_INVALID_ARGUMENT,
      "tokenizer.json: model.vocab: expected an object, found nothing" },
    { "{'model':{'type':'Unigram','vocab':[['a',-1]],'unk_id':1}}", MD_INVALID_ARGUMENT,
      "tokenizer.json: model.unk_id: 1, but model.vocab has 1 tokens" },
    { "{'model':{'type':'Unigram','vocab':[['a','b']]}}", MD_INVALID_ARGUMENT,
      "tokenizer.json: model.vocab[0]: expected a number, found a string" },
    { "{'model':{'type':'Unigram','vocab':[3]}}", MD_INVALID_ARGUMENT,
      "tokenizer.json: model.vocab[0]: expected a token and its score, found an integer" },
    { "{'normalizer':{'type':'Precompiled','precompiled_charsmap':'AAA*'}," MODEL "}", MD_INVALID_ARGUMENT,
      "tokenizer.json: normalizer.precompiled_charsmap: not base64 at byte 3" },
    { "{'normalizer':{'type':'Precompiled','precompiled_charsmap':'/////w=='}," MODEL "}", MD_INVALID_ARGUMENT,
      "tokenizer.json: normalizer.precompiled_charsmap: 4 bytes, which are no table of replacements" },
    { "{'normalizer':{'type':'Sequence','normalizers':[{'type':'NFC'},{'type':'Strip','strip_left':3}]}"
      "," MODEL "}",
      MD_INVALID_ARGUMENT,
      "tokenizer.json: normalizer.normalizers[1].strip_left: expected a boolean, found an integer" },
    { "{'normalizer':{'type':'Replace','pattern':{'Regex':'(('},'content':''}," MODEL "}",
      MD_INVALID_ARGUMENT,
      "tokenizer.json: normalizer.pattern: regular expression: missing closing parenthesis at byte 2" },
    { "{'pre_tokenizer':{'type':'UnicodeScripts'}," MODEL "}", MD_UNIMPLEMENTED,
      "tokenizer.json: pre_tokenizer.type: pre-tokenizer \"UnicodeScripts\" is not implemented" },
    { "{'pre_tokenizer':{'type':'Split','pattern':{'String':'a'},'behavior':'Cut'}," MODEL "}",
      MD_INVALID_ARGUMENT, "tokenizer.json: pre_tokenizer.behavior: behavior \"Cut\" is not known" },
    { "{'pre_tokenizer':{'type':'Metaspace','replacement':'ab'}," MODEL "}", MD_INVALID_ARGUMENT,
      "tokenizer.json: pre_tokenizer.replacement: expected one character, found \"ab\"" },
    { "{'post_processor':{'type':'TemplateProcessing','single':[{'SpecialToken':{'id':'C','type_id':0}}],'"
      "pair':[],"
      "'special_tokens':{}}," MODEL "}",
      MD_INVALID_ARGUMENT,
      "tokenizer.json: post_processor.single[0].SpecialToken.id: \"C\" is not in special_tokens" },
    { "{'post_processor':{'type':'TemplateProcessing','single':[{'Sequence':{'id':'B','type_id':0}}],'pair':["
      "],"
      "'special_tokens':{}}," MODEL "}",
      MD_INVALID_ARGUMENT,
      "tokenizer.json: post_processor.single: has Sequence \"B\", but there is no second text" },
    { "{'added_tokens':[{'id':3}]," MODEL "}", MD_INVALID_ARGUMENT,
      "tokenizer.json: added_tokens[0].content: expected a string, found nothing" },
    { "{'added_tokens':[{'id':3,'content':'a'}]," MODEL "}", MD_INVALID_ARGUMENT,
      "tokenizer.json: added_tokens[0].id: \"a\" has id 3 here and 1 in model.vocab" },
    { "{'added_tokens':[{'id':1,'content':'b'}]," MODEL "}", MD_INVALID_ARGUMENT,
      "tokenizer.json: added_tokens[0].id: \"b\" has id 1, which model.vocab gives to \"a\"" },
    { "{'added_tokens':[{'id':3,'content':'b'},{'id':3,'content':'c'}]," MODEL "}", MD_INVALID_ARGUMENT,
      "tokenizer.json: added_tokens[1]: id 3 twice" },
    { "{'truncation':{'max_length':'x'}," MODEL "}", MD_INVALID_ARGUMENT,
      "tokenizer.json: truncation.max_length: expected an integer, found a string" },
    { "{'truncation':{'max_length':5,'strategy':'Half'}," MODEL "}", MD_INVALID_ARGUMENT,
      "tokenizer.json: truncation.strategy: \"Half\" is not known" },
    { "{'model':{'type':'BPE','vocab':{'a':0},'merges':['a b']}}", MD_INVALID_ARGUMENT,
      "tokenizer.json: model.merges[0]: \"b\" is not in model.vocab" },
    { "{'model':{'type':'BPE','vocab':{'a':0},'merges':['ab']}}", MD_INVALID_ARGUMENT,
      "tokenizer.json: model.merges[0]: expected two tokens, found \"ab\"" },
    { "{'model':{'type':'BPE','vocab':{'a':0},'merges':[['a','a']]}}", MD_INVALID_ARGUMENT,
      "tokenizer.json: model.merges[0]: \"aa\" is not in model.vocab" },
    { "{'model':{'type':'BPE','vocab':{'a':0},'merges':[],'dropout':0.1}}", MD_UNIMPLEMENTED,
      "tokenizer.json: model.dropout: merges that are left out at random" },
};

static void test_what_is_wrong_is_named_with_its_path(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct md_faulty_allocator faulty;
        md_faulty_init(&faulty, MD_FAULTY_NEVER);
        struct md_tokenizer *tokenizer = NULL;
        struct md_error error = { "" };
        enum md_code code = create_from(&faulty.allocator, refusals[i].json, &tokenizer, &error);
        if (code != refusals[i].code ||
            strncmp(error.message, refusals[i].message, strlen(refusals[i].message)) != 0)
            fail_msg("%s\n gives %s: %s", refusals[i].json, md_code_name(code), error.message);
        assert_null(tokenizer);
        assert_int_equal(faulty.live, 0);
        assert_int_equal(create_from(&faulty.allocator, refusals[i].json, &tokenizer, NULL),
                         refusals[i].code);
    }
}

/* JSON of `depth` openings, something inside, and `depth` closings. */
static enum md_code create_nested(const char *open, const char *inside, const char *close, size_t depth,
                                  struct md_error *error)
{
    size_t size = depth * (strlen(open) + strlen(close)) + strlen(inside) + 200;
    char *json = malloc(size);
    assert_non_null(json);
    strcpy(json, "{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":1}},\"normalizer\":");
    char *end = json + strlen(json);
    for (size_t i = 0; i < depth; i++)
        end = stpcpy(end, open);
    end = stpcpy(end, inside);
    for (size_t i = 0; i < depth; i++)
        end = stpcpy(end, close);
    end = stpcpy(end, "}");
    struct md_tokenizer *tokenizer = NULL;
    enum md_code code =
        md_tokenizer_create(md_process_allocator(), json, (size_t)(end - json), &tokenizer, error);
    md_tokenizer_destroy(tokenizer);
    free(json);
    return code;
}

static void test_deep_nesting_is_refused(void **state)
{
    (void)state;
    const char *open = "{\"type\":\"Sequence\",\"normalizers\":[";
    const char *inside = "{\"type\":\"NFC\"}";
    struct md_error error;
    assert_int_equal(create_nested(open, inside, "]}", 8, NULL), MD_OK);
    assert_int_equal(create_nested(open, inside, "]}", 9, &error), MD_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "nested more than 8 deep"));
    assert_int_equal(create_nested(open, inside, "]}", 900, &error), MD_INVALID_ARGUMENT);
    assert_int_equal(create_nested("[", "", "]", 1000000, &error), MD_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "tokenizer.json: line 1"));
}

static void test_too_many_steps_are_refused(void **state)
{
    (void)state;
    struct md_error error;
    char many[4096] = "{\"type\":\"Sequence\",\"normalizers\":[";
    for (int i = 0; i < 65; i++)
        strcat(many, i == 0 ? "{\"type\":\"NFC\"}" : ",{\"type\":\"NFC\"}");
    strcat(many, "]}");
    assert_int_equal(create_nested("", many, "", 0, &error), MD_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "more than 64 normalization steps"));
}

/* Every prefix of a good file, and the file with each byte changed: refused or accepted, never a crash. */
static void test_damaged_files_do_no_harm(void **state)
{
    (void)state;
    char good[] =
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]},"
        "\"added_tokens\":[{\"id\":3,\"content\":\"<s>\",\"special\":true}],"
        "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true},"
        "\"post_processor\":{\"type\":\"RobertaProcessing\",\"cls\":[\"<s>\",3],\"sep\":[\"<s>\",3]}}";
    size_t size = sizeof good - 1;
    for (size_t i = 0; i <= size; i++) {
        struct md_tokenizer *tokenizer = NULL;
        enum md_code code = md_tokenizer_create(md_process_allocator(), good, i, &tokenizer, NULL);
        assert_int_equal(code, i == size ? MD_OK : MD_INVALID_ARGUMENT);
        md_tokenizer_destroy(tokenizer);
    }
    for (size_t i = 0; i < size; i++)
        for (const char *byte = "{}[]\",:0-a\xFF\x80"; *byte != '\0'; byte++) {
            char kept = good[i];
            good[i] = *byte;
            struct md_tokenizer *tokenizer = NULL;
            if (md_tokenizer_create(md_process_allocator(), good, size, &tokenizer, NULL) == MD_OK)
                (void)encoded(tokenizer, "ab<s> \xC3\xA9 b");
            md_tokenizer_destroy(tokenizer);
            good[i] = kept;
        }
}

static void test_create_survives_every_allocation_failure(void **state)
{
    (void)state;
    static const char json[] =
        "{'model':{'type':'BPE','unk_token':'a','vocab':{'a':0,'b':1,'ab':2},'merges':[['a','b']]},"
        "'normalizer':{'type':'Sequence','normalizers':[{'type':'Prepend','prepend':'_'},"
        "{'type':'Replace','pattern':{'String':'x'},'content':'y'}]},"
        "'pre_tokenizer':{'type':'Split','pattern':{'Regex':'[0-9]+'},'behavior':'Isolated','invert':false},"
        "'added_tokens':[{'id':3,'content':'<s>','special':true},{'id':4,'content':'T','normalized':true}]}";
    for (long nth = 0;; nth++) {
        struct md_faulty_allocator faulty;
        md_faulty_init(&faulty, nth);
        struct md_tokenizer *tokenizer = NULL;
        enum md_code code = create_from(&faulty.allocator, json, &tokenizer, NULL);
        if (code != MD_OK) {
            assert_int_equal(code, MD_RESOURCE_EXHAUSTED);
            assert_null(tokenizer);
        }
        md_tokenizer_destroy(tokenizer);
        assert_int_equal(faulty.live, 0);
        if (code == MD_OK)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_wrong_is_named_with_its_path),
        cmocka_unit_test(test_deep_nesting_is_refused),
        cmocka_unit_test(test_too_many_steps_are_refused),
        cmocka_unit_test(test_damaged_files_do_no_harm),
        cmocka_unit_test(test_create_survives_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
