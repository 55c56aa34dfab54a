/* common/presets: models.json: what is in it, and every mistake with its line and column. */
#include "tests/unit/scratch.h"

#include "common/presets.h"

#include <errno.h>
#include <time.h>

static struct presets presets;
static struct diag diag;

static int setup(void **state)
{
    (void)state;
    presets = (struct presets){0};
    diag_init(&diag);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    presets_fini(&presets);
    diag_fini(&diag);
    return 0;
}

static int read_bytes(const char *json, size_t json_n)
{
    teardown(NULL);
    setup(NULL);
    char *exact = malloc(json_n + 1); /* so that a sanitizer sees what reads behind its end */
    assert_non_null(exact);
    memcpy(exact, json, json_n);
    char *grown = realloc(exact, json_n ? json_n : 1);
    assert_non_null(grown);
    int error = presets_read(&presets, grown, json_n, "models.json", &diag);
    free(grown);
    assert_true((error == -EINVAL) == (diag.errors_n > 0));
    return error;
}

static void good(const char *json)
{
    int error = read_bytes(json, strlen(json));
    if (error)
        print_error("%s\n%.*s", json, (int)buf_size(&diag.text), buf_data(&diag.text));
    assert_int_equal(error, 0);
}

static void told(const char *line)
{
    int is_told = buf_size(&diag.text) > 0 && memmem(buf_data(&diag.text), buf_size(&diag.text), line, strlen(line)) != NULL;
    if (!is_told)
        print_error("wanted \"%s\"; told was:\n%.*s", line, (int)buf_size(&diag.text), buf_data(&diag.text));
    assert_true(is_told);
}

/* One mistake, and where. */
static void bad_bytes(const char *json, size_t json_n, const char *line)
{
    assert_int_equal(read_bytes(json, json_n), -EINVAL);
    told(line);
    if (diag.errors_n != 1)
        print_error("%s\n%.*s", json, (int)buf_size(&diag.text), buf_data(&diag.text));
    assert_int_equal(diag.errors_n, 1);
}

static void bad(const char *json, const char *line)
{
    bad_bytes(json, strlen(json), line);
}

/* A mistake in a preset's member; FIRST is what stands before it, in the same line. */
#define FIRST "{\"p\": {\"model\": \"m\", "
static void bad_member(const char *member, const char *line)
{
    char json[2000];
    snprintf(json, sizeof json, "\n" FIRST "%s}}", member);
    bad(json, line);
}

/* As it is in force. */
static const char *written(const char *name)
{
    static char text[2000];
    struct buf out;
    const struct preset *p = presets_find(&presets, name, strlen(name));
    assert_non_null(p);
    buf_init(&out, 0);
    assert_int_equal(presets_write(p, &out), 0);
    snprintf(text, sizeof text, "%.*s", (int)buf_size(&out), buf_data(&out));
    buf_fini(&out);
    return text;
}

static void test_the_owners_file(void **state)
{
    (void)state;
    good("{\"cheap_text\": {\"model\": \"mistral:7b-instruct-q4_0\", \"options\": {\"num_ctx\": 1024, \"batch_size\": 256}},\n"
         " \"vision\": {\"model\": [\"liuhaotian\", \"llava:7b\"], \"options\": {\"num_ctx\": 2048, \"batch_size\": 256}}}\n");
    assert_int_equal(diag.warnings_n, 0);
    const struct preset *text = presets_for(&presets, PRESET_TEXT), *image = presets_for(&presets, PRESET_IMAGE);
    assert_string_equal(text->name, "cheap_text");
    assert_int_equal(text->models.items_n, 1);
    assert_string_equal(text->models.items[0], "mistral:7b-instruct-q4_0");
    assert_int_equal(text->options_n, 2);
    assert_string_equal(text->options[1].name, "num_batch");
    assert_string_equal(text->options[1].value, "256");
    assert_null(text->system);
    assert_null(text->keep_alive);
    assert_string_equal(image->name, "vision");
    assert_string_equal(image->models.items[1], "llava:7b");
    assert_null(presets_find(&presets, "visio", 5));
    assert_null(presets_find(&presets, "vision\0", 7));
}

static void test_the_file_that_is_shipped(void **state)
{
    (void)state;
    char text[4000];
    FILE *f = fopen("models.json", "rb");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text, f);
    fclose(f);
    assert_int_equal(read_bytes(text, n), 0);
    assert_int_equal(diag.warnings_n, 0);
    assert_int_equal(presets.items_n, 3);
    assert_string_equal(written("cheap_text"), "{\"for\": \"text\", \"model\": [\"mistral:7b-instruct-q4_0\"], \"options\": {\"num_ctx\": 1024, \"num_batch\": 256}}");
    assert_string_equal(written("vision"), "{\"for\": \"image\", \"model\": [\"liuhaotian\", \"llava:7b\"], \"options\": {\"num_ctx\": 2048, \"num_batch\": 256}}");
    assert_string_equal(written("small_text"), "{\"model\": [\"llama3.2:1b\"], \"options\": {\"num_ctx\": 1024, \"num_batch\": 256}}");
}

static void test_values_stay_as_they_are_written(void **state)
{
    (void)state;
    good("{\"p\": {\"model\": \"m\", \"for\": \"text\", \"keep_alive\": 1.50, \"system\": \"caf\xc3\xa9 \\u00e9\\n\\/\", \"options\": {"
         "\"seed\": 12345678901234567890, \"temperature\": 1e-1, \"stop\": [ \"a, \\\" b\" ,\n \"\\n\"], \"use_mmap\": true, \"extra\": [1 , \"x\"]}}}");
    assert_string_equal(written("p"), "{\"for\": \"text\", \"model\": [\"m\"], \"options\": {\"seed\": 12345678901234567890, \"temperature\": 1e-1, "
                                      "\"stop\": [\"a, \\\" b\",\"\\n\"], \"use_mmap\": true, \"extra\": [1,\"x\"]}, \"keep_alive\": 1.50, "
                                      "\"system\": \"caf\xc3\xa9 \\u00e9\\n\\/\"}");
}

static void test_what_is_written_can_be_read(void **state)
{
    (void)state;
    char json[2000], before[2000];
    good("{\"p\": {\"model\": [\"a\", \"b\"], \"for\": \"image\", \"keep_alive\": \"5m\", \"system\": \"s\", \"options\": {\"stop\": [\"a\"]}}}");
    snprintf(before, sizeof before, "%s", written("p"));
    snprintf(json, sizeof json, "{\"p\": %.1900s}", before);
    good(json);
    assert_string_equal(written("p"), before);
}

static void test_what_is_not_said(void **state)
{
    (void)state;
    good("{}");
    assert_int_equal(presets.items_n, 0);
    assert_null(presets_for(&presets, PRESET_TEXT));
    good(" \r\n\t{ } \n");
    good("{\"a\": {\"model\": \"m\"}, \"b\": {\"model\": \"m\", \"options\": {}}}");
    assert_null(presets_for(&presets, PRESET_TEXT));
    assert_null(presets_for(&presets, PRESET_IMAGE));
    assert_int_equal(presets_find(&presets, "b", 1)->options_n, 0);
}

static void test_names_say_what_they_are_for(void **state)
{
    (void)state;
    good("{\"vision\": {\"model\": \"m\", \"for\": \"text\"}, \"cheap_text\": {\"model\": \"m\", \"for\": \"image\"}}");
    assert_string_equal(presets_for(&presets, PRESET_TEXT)->name, "vision");
    good("{\"Vision\": {\"model\": \"m\"}, \"vis\\u0069on\": {\"model\": \"m\"}}");
    assert_string_equal(presets_for(&presets, PRESET_IMAGE)->name, "vision");
    bad("{\"a\": {\"for\": \"text\", \"model\": \"m\"},\n \"b\": {\"model\": \"m\", \"for\": \"text\"}}",
        "models.json:2: error: column 22: preset \"b\" is for requests without an image, and so is \"a\" in line 1");
    bad("{\"a\": {\"for\": \"image\", \"model\": \"m\"},\n\n \"vision\": {\"model\": \"m\"}}",
        "models.json:3: error: column 2: preset \"vision\" is for requests with an image by its name, and so is \"a\" in line 1");
}

static void test_keep_alive_is_ollamas(void **state)
{
    (void)state;
    static const char *const taken[] = {"0", "-1", "300", "0.5", "\"5m\"", "\"1h30m\"", "\"-1m\"", "\"0\""};
    static const char *const refused[] = {"\"5\"", "\"5 m\"", "\"\"", "true", "null", "[]", "{}", "\"1d\""};
    char json[200];
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        snprintf(json, sizeof json, FIRST "\"keep_alive\": %s}}", taken[i]);
        good(json);
        assert_string_equal(presets.items[0].keep_alive, taken[i]);
    }
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        snprintf(json, sizeof json, "\"keep_alive\": %s", refused[i]);
        bad_member(json, "models.json:2: error: column 36: preset \"p\": keep_alive must be a number of seconds, or a duration");
    }
}

static void test_members_of_the_wrong_kind(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"\"system\": 1", "column 32: preset \"p\": system must be a string"},
        {"\"system\": null", "column 32: preset \"p\": system must be a string"},
        {"\"for\": \"Text\"", "column 29: preset \"p\": for must be \"text\" or \"image\""},
        {"\"for\": [\"text\"]", "column 29: preset \"p\": for must be"},
        {"\"modle\": \"x\"", "column 22: preset \"p\": unknown member \"modle\"; did you mean model?"},
        {"\"Model\": \"x\"", "column 22: preset \"p\": unknown member \"Model\"; did you mean model?"},
        {"\"template\": \"x\"", "column 22: preset \"p\": unknown member \"template\"; there are model, options, system, keep_alive and for"},
        {"\"\": 1", "column 22: preset \"p\": unknown member \"\""},
        {"\"model\\u0000\": 1", "column 22: preset \"p\": unknown member \"model\"; did"},
        {"\"model\": \"x\"", "column 22: preset \"p\": model stands twice, first in line 2"},
        {"\"m\\u006fdel\": \"x\"", "column 22: preset \"p\": model stands twice, first in line 2"},
        {"\"options\": []", "column 33: preset \"p\": options must be an object"},
        {"\"options\": null", "column 33: preset \"p\": options must be an object"},
        {"\"options\": {\"num_ctx\": \"1024\"}", "column 45: preset \"p\": the option num_ctx must be a number, without quotes"},
        {"\"options\": {\"batch_size\": true}", "column 48: preset \"p\": the option batch_size must be a number"},
        {"\"options\": {\"use_mmap\": 1}", "column 46: preset \"p\": the option use_mmap must be true or false"},
        {"\"options\": {\"stop\": \"x\"}", "column 42: preset \"p\": the option stop must be a list of strings"},
        {"\"options\": {\"stop\": [1]}", "column 42: preset \"p\": the option stop must be a list of strings"},
        {"\"options\": {\"mirostat\": null}", "column 46: preset \"p\": the option mirostat must be a string, a number, true, false"},
        {"\"options\": {\"mirostat\": {\"a\": 1}}", "column 46: preset \"p\": the option mirostat must be"},
        {"\"options\": {\"mirostat\": [[1]]}", "column 46: preset \"p\": the option mirostat must be"},
        {"\"options\": {\"\": 1}", "column 34: preset \"p\": this is no option's name"},
        {"\"options\": {\"num ctx\": 1}", "column 34: preset \"p\": this is no option's name"},
        {"\"options\": {\"seed\\u0000\": 1}", "column 34: preset \"p\": this is no option's name"},
        {"\"options\": {\"seed\": 1, \"seed\": 2}", "column 45: preset \"p\": the option seed stands twice, first in line 2"},
        {"\"options\": {\"num_batch\": 1, \"batch_size\": 2}", "column 50: preset \"p\": batch_size is the num_batch of line 2 under another name"},
        {"\"options\": {\"batch_size\": 1, \"num_batch\": 2}", "column 51: preset \"p\": num_batch is the batch_size of line 2 under another name"},
        {"\"options\": {\"batch_size\": 1, \"batch_size\": 2}", "column 51: preset \"p\": the option batch_size stands twice, first in line 2"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char line[400];
        snprintf(line, sizeof line, "models.json:2: error: %s", rows[i][1]);
        bad_member(rows[i][0], line);
    }
}

static void test_models(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"\"../x\"", "column 17: preset \"p\": \"../x\" is no model's name"},
        {"\"\"", "column 17: preset \"p\": \"\" is no model's name: it is empty"},
        {"\"x\\u0000y\"", "column 17: preset \"p\": this is no model's name: it has a NUL byte"},
        {"\"https://x/y\"", "leave the scheme out"},
        {"3", "column 17: preset \"p\": a model is a string"},
        {"null", "column 17: preset \"p\": a model is a string"},
        {"[]", "column 17: preset \"p\": the list of models is empty"},
        {"[\"x\", {}]", "column 23: preset \"p\": a model is a string"},
        {"[\"x\", \"-y\"]", "column 23: preset \"p\": \"-y\" is no model's name: it starts with -"},
        {"[\"x\", \"library/X:latest\"]", "column 17: preset \"p\": library/X:latest stands twice"},
        {"[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\"]", "column 50: preset \"p\": more than 8 models"},
    };
    char json[600], long_name[400];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(json, sizeof json, "{\"p\": {\"model\": %s}}", rows[i][0]);
        bad(json, rows[i][1]);
    }
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    snprintf(json, sizeof json, "{\"p\": {\"model\": \"%s\"}}", long_name);
    bad(json, "longer than 190 bytes");
    bad("{\n\"p\": {}}", "models.json:2: error: column 1: preset \"p\" names no model: add \"model\": \"NAME\"");
}

static void test_presets_of_the_wrong_shape(void **state)
{
    (void)state;
    bad("{\"p\": \"m\"}", "models.json:1: error: column 7: preset \"p\" must be an object");
    bad("{\"p\": null}", "column 7: preset \"p\" must be an object");
    bad("{\"\": {\"model\": \"m\"}}", "column 2: a preset needs a name");
    bad("{\"a\\u0000\": {\"model\": \"m\"}}", "column 2: the name of a preset has no control characters");
    bad("{\"a\\u202e\": {\"model\": \"m\"}}", "column 2: the name of a preset has no control characters");
    bad("{\"0123456789012345678901234567890123456789012345678901234567890123\": {\"model\": \"m\"}}", "column 2: the name of a preset has 63 bytes at the most");
    good("{\"012345678901234567890123456789012345678901234567890123456789012\": {\"model\": \"m\"}}");
    bad("{\"p\": {\"model\": \"m\"},\n\n  \"\\u0070\": {\"model\": \"m\"}}", "models.json:3: error: column 3: preset \"p\" stands twice, first in line 1");
}

/* n times the row, in which %d is the number. */
static char *many(size_t n, const char *before, const char *row, const char *behind)
{
    char *text = malloc(n * 64 + 200);
    assert_non_null(text);
    size_t used_n = (size_t)snprintf(text, 100, "%s", before);
    for (size_t i = 0; i < n; i++)
        used_n += (size_t)snprintf(text + used_n, 64, "%s\"n%zu\": %s", i ? "," : "", i, row);
    snprintf(text + used_n, 100, "%s", behind);
    return text;
}

static void test_as_many_as_there_may_be(void **state)
{
    (void)state;
    char *json = many(PRESETS_MAX, "{", "{\"model\": \"m\"}", "}");
    good(json);
    assert_int_equal(presets.items_n, PRESETS_MAX);
    free(json);
    json = many(PRESETS_MAX + 3, "{", "{\"model\": \"m\"}", "}");
    bad(json, "more than 16 presets"); /* told once */
    free(json);
    json = many(PRESET_OPTIONS_MAX, FIRST "\"options\": {", "1", "}}}");
    good(json);
    assert_int_equal(presets.items[0].options_n, PRESET_OPTIONS_MAX);
    free(json);
    json = many(PRESET_OPTIONS_MAX + 3, FIRST "\"options\": {", "1", "}}}");
    bad(json, "preset \"p\": more than 32 options");
    free(json);
}

static void test_the_largest_file(void **state)
{
    (void)state;
    static const char start[] = FIRST "\"system\": \"";
    char *json = malloc(PRESETS_FILE_BYTES + 1);
    assert_non_null(json);
    memset(json, 'x', PRESETS_FILE_BYTES);
    memcpy(json, start, strlen(start));
    memcpy(json + PRESETS_FILE_BYTES - 3, "\"}}", 4);
    assert_int_equal(read_bytes(json, PRESETS_FILE_BYTES), 0);
    assert_int_equal(strlen(presets.items[0].system), PRESETS_FILE_BYTES - strlen(start) - 3 + 2);
    memcpy(json + PRESETS_FILE_BYTES - 3, "\"}} ", 4);
    bad_bytes(json, PRESETS_FILE_BYTES + 1, "models.json: error: the file has 65537 bytes; 65536 at the most");
    free(json);
}

static void test_no_json(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", "models.json:1: error: column 1: the file ends here, and is empty"},
        {" \n \n", "models.json:3: error: column 1: the file ends here, and is empty"},
        {"[]", ":1: error: column 1: the file is to begin with {"},
        {"null", ":1: error: column 1: the file is to begin with {"},
        {"{", ":1: error: column 2: the file ends here, and a closing bracket is missing"},
        {"{\"p\": {\"model\": \"m\"}\n", ":2: error: column 1: the file ends here, and a closing bracket is missing"},
        {"{\"p\": {\"model\": [\"m\"", ":1: error: column 21: the file ends here"},
        {"{\"p\": {\"model\": \"m\"}},", ":1: error: column 22: something stands behind the closing bracket"},
        {"{\"p\": {\"model\": \"m\"}}\n{}", ":2: error: column 1: something stands behind the closing bracket"},
        {"{\"p\": {\"model\": \"m\",}}", ":1: error: column 21: a comma stands before this bracket"},
        {"{\"p\": {\"model\": [\"m\",]}}", ":1: error: column 22: a comma stands before this bracket"},
        {"{\"p\": {\"model\": \"m\"},\n}", ":2: error: column 1: a comma stands before this bracket"},
        {"{\n  // the small one\n  \"p\": {}}", ":2: error: column 3: JSON has no comments"},
        {"{\"p\": {\"model\": \"m\"} # x\n}", ":1: error: column 22: JSON has no comments"},
        {"{'p': {}}", ":1: error: column 2: strings stand in double quotes"},
        {"{p: {}}", ":1: error: column 2: a name in double quotes is expected here, or }"},
        {"{\"p\" {}}", ":1: error: column 6: a comma, a colon or a closing bracket is expected here"},
        {"{\"p\": }", ":1: error: column 7: this is no JSON: a value is expected here"},
        {"{\"p\": True}", ":1: error: column 7: this is no JSON: a value is expected here"},
        {"{\"p\": NaN}", ":1: error: column 7: this is no JSON: a value is expected here"},
        {"{\"p\": 01}", ":1: error: column 8: a comma, a colon or a closing bracket is expected here"},
        {"{\"p\": {\"model\": \"m\"}\n \"q\": {\"model\": \"m\"}}", ":2: error: column 2: a comma, a colon or a closing bracket"},
        {"{\"p\": {\"model\": \"m\"},, \"q\": 1}", ":1: error: column 22: this is no JSON: one more member or value is expected here"},
        {"{\"p\": {\"model\": \"m}}", ":1: error: column 17: this string does not end in its line"},
        {"{\"p\": {\"model\":\n \"m\n\"}}", ":2: error: column 2: this string does not end in its line"},
        {"{\"p\": {\"model\": \"m\\", ":1: error: column 19: this backslash begins no escape"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows - 1; i++)
        bad(rows[i][0], rows[i][1]);
    assert_int_equal(read_bytes(rows[25][0], strlen(rows[25][0])), -EINVAL); /* and no end */
    told(rows[25][1]);
}

static void test_characters(void **state)
{
    (void)state;
    bad("{\"p\": {\"model\": \"m\", \"system\": \"a\tb\"}}", ":1: error: column 34: a control character in a string: write \\u0009");
    bad("{\"p\": {\"model\": \"C:\\models\"}}", ":1: error: column 20: this backslash begins no escape: a backslash itself is written \\\\");
    bad("{\"p\": {\"model\": \"m\", \"system\": \"\\u12g4\"}}", ":1: error: column 33: this backslash begins no escape");
    bad("{\"p\\x\": {\"model\": \"m\"}}", ":1: error: column 4: this backslash begins no escape");
    bad("{\"p\": {\"model\": \"m\",\n \"system\": \"caf\xe9 caf\xe9\"}}", ":2: error: column 16: the byte 0xe9 is no UTF-8: save the file as UTF-8");
    bad("{\"p\": {\"model\": \"m\", \"system\": \"\xed\xa0\x80\"}}", "is no UTF-8");
    bad_bytes("{\"p\": \0}", 8, ":1: error: column 7: a NUL byte: this is no text file, or UTF-16");
    bad_bytes("\xff\xfe{\0}\0", 6, "a NUL byte: this is no text file, or UTF-16");
    good("\xef\xbb\xbf{}"); /* a byte-order mark, as in supervisor.ini */
    bad("\xef\xbb\xbf{1", ":1: error: column 2: a name in double quotes");
    bad("{}\xef\xbb\xbf", ":1: error: column 3: something stands behind");
    bad("{\"\xc3\xa4\xe2\x82\xac\": 1}", ":1: error: column 8: preset \"\xc3\xa4\xe2\x82\xac\" must be"); /* characters count, not bytes */
}

static void test_nesting(void **state)
{
    (void)state;
    enum { DEEP = 60000 };
    char *json = malloc(DEEP + 1);
    assert_non_null(json);
    memset(json, '[', DEEP);
    memcpy(json, "{\"p\":", 5);
    bad_bytes(json, DEEP, ":1: error: column 37: nested deeper than 32");
    memset(json, '{', DEEP);
    bad_bytes(json, DEEP, ":1: error: column 33: nested deeper than 32");
    free(json);
}

static void test_every_mistake_is_told(void **state)
{
    (void)state;
    static const char json[] = "{\n\"a\": {\"modle\": \"x\"},\n\"b\": {\"model\": \"-\", \"options\": {\"num_ctx\": []}},\n\"b\": 1,\n}";
    assert_int_equal(read_bytes(json, strlen(json)), -EINVAL);
    told("models.json:2: error: column 7: preset \"a\": unknown member \"modle\"");
    told("models.json:2: error: column 1: preset \"a\" names no model");
    told("models.json:3: error: column 16: preset \"b\": \"-\" is no model's name");
    told("models.json:3: error: column 44: preset \"b\": the option num_ctx must be");
    told("models.json:4: error: column 1: preset \"b\" stands twice, first in line 3");
    told("models.json:5: error: column 1: a comma stands before this bracket");
    assert_int_equal(diag.errors_n, 6);
}

/* PID 1 reads it in a turn of its loop, also what somebody has filled with mistakes. */
static void test_a_file_of_nothing_but_mistakes_is_read_quickly(void **state)
{
    (void)state;
    static const char *const rows[] = {"\"seed\":\"\\x\",", "\"num_ctx\":[{}],", "\"\":1,\n", "\"a\\q\":1,"};
    struct timespec from, to;
    char *json = malloc(PRESETS_FILE_BYTES);
    assert_non_null(json);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t row_n = strlen(rows[i]), n = strlen(FIRST "\"options\":{");
        memcpy(json, FIRST "\"options\":{", n);
        for (; n + row_n + 10 < PRESETS_FILE_BYTES; n += row_n)
            memcpy(json + n, rows[i], row_n);
        memcpy(json + n, "\"z\":1}}}", 8);
        assert_int_equal(read_bytes(json, n + 8), -EINVAL);
        assert_true(diag.errors_n > 3000);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    assert_true((to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000 < 1000);
    free(json);
}

static void test_options_that_ollama_may_not_know(void **state)
{
    (void)state;
    good(FIRST "\"options\": {\"num_ctxx\": 1, \"entirely_of_our_own\": 1, \"mirostat\": 2}}}");
    told("models.json:1: warning: column 34: preset \"p\": Ollama may not know the option num_ctxx; did you mean num_ctx?");
    assert_int_equal(diag.warnings_n, 1);
    assert_int_equal(presets.items[0].options_n, 3);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_the_owners_file),
        CASE(test_the_file_that_is_shipped),
        CASE(test_values_stay_as_they_are_written),
        CASE(test_what_is_written_can_be_read),
        CASE(test_what_is_not_said),
        CASE(test_names_say_what_they_are_for),
        CASE(test_keep_alive_is_ollamas),
        CASE(test_members_of_the_wrong_kind),
        CASE(test_models),
        CASE(test_presets_of_the_wrong_shape),
        CASE(test_as_many_as_there_may_be),
        CASE(test_the_largest_file),
        CASE(test_no_json),
        CASE(test_characters),
        CASE(test_nesting),
        CASE(test_every_mistake_is_told),
        CASE(test_a_file_of_nothing_but_mistakes_is_read_quickly),
        CASE(test_options_that_ollama_may_not_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
