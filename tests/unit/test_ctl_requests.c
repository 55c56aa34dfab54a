/* ctl/requests, models, top, why: what the proxy tells as lines for a person, of any kind. */
#include "ctl/models.h"
#include "ctl/requests.h"
#include "ctl/top.h"
#include "ctl/why.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void shows(int (*describe)(const cJSON *, int, struct buf *), const char *json, const char *text)
{
    struct buf out;
    cJSON *answer = cJSON_Parse(json);
    assert_non_null(answer);
    buf_init(&out, 0);
    assert_int_equal(describe(answer, 0, &out), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_string_equal(buf_data(&out), text);
    buf_fini(&out);
    cJSON_Delete(answer);
}

static void test_requests(void **state)
{
    (void)state;
    shows(requests_describe,
          "{\"requests\":{\"in_flight\":3,\"held\":0,\"queued\":1,\"live\":["
          "{\"id\":\"a1\",\"phase\":\"streaming\",\"phase_ms\":1200,\"age_ms\":3400,\"tokens\":17,\"model\":\"m\",\"client\":\"127.0.0.1\",\"key\":\"ci\",\"backend\":\"big\",\"path\":\"/api/chat\"},"
          "{\"id\":\"b2\",\"phase\":\"queued\",\"phase_ms\":90,\"age_ms\":95,\"tokens\":null,\"model\":\"m\",\"client\":\"10.0.0.9\",\"key\":null,\"backend\":null,\"place\":1,\"path\":\"/v1/\\u001b\"}],"
          "\"more\":1,\"recent\":[{\"id\":\"c3\",\"at\":\"2026-01-01T12:30:05.123Z\",\"path\":\"/api/chat\",\"model\":\"m\",\"status\":200,\"ended\":\"done\","
          "\"first_token_ms\":300,\"total_ms\":61000,\"tokens\":42,\"tokens_per_s\":12.34,\"error\":null},"
          "{\"id\":\"d4\",\"at\":\"?\",\"status\":503,\"ended\":\"refused\",\"error\":\"too many\",\"path\":\"/x\"}]}}",
          "3 in flight, 0 held, 1 in line\n"
          "ID  PHASE      FOR   AGE   TOKENS  MODEL  CLIENT    BACKEND  PATH\n"
          "a1  streaming  1.2s  3.4s  17      m      ci        big      /api/chat\n"
          "b2  queued 1   0.0s  0.0s  -       m      10.0.0.9  -        /v1/?\n"
          "and 1 more\n"
          "\n"
          "AT        ENDED    STATUS  ID  TOTAL  FIRST TOKEN  TOKENS  A SECOND  MODEL  PATH OR ERROR\n"
          "12:30:05  done     200     c3  1m01s  0.3s         42      12.3      m      /api/chat\n"
          "-         refused  503     d4  -      -            -       -         -      too many\n");
    shows(requests_describe, "{}", "- in flight, - held, - in line\n");
    shows(requests_describe, "{\"requests\":{\"live\":[7],\"recent\":7,\"more\":-1}}",
          "- in flight, - held, - in line\nID  PHASE  FOR  AGE  TOKENS  MODEL  CLIENT  BACKEND  PATH\n-   -      -    -    -       -      -       -        -\n");
}

static void test_models(void **state)
{
    (void)state;
    shows(models_describe,
          "{\"models\":[{\"name\":\"m:latest\",\"where\":\"ollama\",\"state\":\"loaded\",\"size_bytes\":1073741824,\"memory_bytes\":536870912,\"expires_at\":\"2026-01-01T12:30:05.99Z\"},"
          "{\"name\":\"n\",\"where\":\"hub\",\"state\":\"pulling\",\"completed\":21,\"total\":50},"
          "{\"name\":\"o\",\"state\":\"failed\",\"reason\":\"no \\u001b memory\"}],\"free_bytes\":2147483648}",
          "MODEL     STATE    SIZE     IN MEMORY  WHERE   NOTE\n"
          "m:latest  loaded   1.0 GiB  512 MiB    ollama  until 2026-01-01T12:30:05\n"
          "n         pulling  -        -          hub     42 %\n"
          "o         failed   -        -          -       no ? memory\n"
          "2.0 GiB are free on the disk\n");
    shows(models_describe, "{\"models\":7}", "no model is known of: sidecarctl pull MODEL brings one; while Ollama does not answer sidecarctl why tells the reason\n");
}

static void test_a_name_stands_in_a_body_as_text(void **state)
{
    (void)state;
    struct buf body;
    buf_init(&body, 0);
    assert_int_equal(models_body("a\"b\n", ",\"stream\":true", &body), 0);
    assert_string_equal(buf_data(&body), "{\"model\":\"a\\\"b\\n\",\"stream\":true}");
    buf_fini(&body);
}

static void test_top(void **state)
{
    (void)state;
    shows(top_describe,
          "{\"version\":\"1\",\"uptime_s\":62,\"at\":\"2026-01-01T12:30:05Z\",\"health\":{\"status\":\"ok\",\"state\":\"ready\"},"
          "\"series\":{\"step_s\":5,\"tokens\":[0,50,100],\"first_token_ms\":[null,250,500]},"
          "\"models\":[{\"name\":\"m\",\"state\":\"loaded\"},{\"name\":\"n\",\"state\":\"on disk\"},{\"name\":\"o\",\"state\":\"pulling\"}],"
          "\"requests\":{\"in_flight\":0,\"held\":0,\"queued\":0,\"live\":[],\"more\":0},\"supervisor\":null}",
          "sidecar 1, up 1m02s, ok, ready, at 2026-01-01T12:30:05Z\n"
          "tokens a second      ▁▄█ at most 20.0\n"
          "first token, s        ▄█ at most 0.5\n"
          "models: m loaded, o pulling\n"
          "\n"
          "0 in flight, 0 held, 0 in line\n");
    shows(top_describe, "{\"series\":{\"tokens\":[\"x\",-1,1e300],\"step_s\":0},\"models\":7}",
          "sidecar , up -, -, , at \ntokens a second          at most 0.0\n\n- in flight, - held, - in line\n");
}

static void test_a_picture_fits_its_terminal(void **state)
{
    (void)state;
    struct buf picture, out;
    buf_init(&picture, 0);
    buf_init(&out, 0);
    assert_int_equal(buf_text(&picture, "a\nb\nc\n"), 0);
    assert_int_equal(top_draw(&picture, 3, &out), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_string_equal(buf_data(&out), "\033[H\033[?7la\033[K\nb\033[K\n\033[?7h\033[J");
    buf_fini(&out);
    buf_init(&out, 0);
    assert_int_equal(top_draw(&picture, 0, &out), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_non_null(strstr(buf_data(&out), "c\033[K\n"));
    buf_fini(&out);
    buf_fini(&picture);
}

static void tells_why(void (*collect)(const cJSON *, cJSON *), const char *json, const char *text)
{
    struct buf out;
    cJSON *list = cJSON_CreateArray(), *object = cJSON_Parse(json);
    buf_init(&out, 0);
    collect(object, list);
    assert_int_equal(why_describe(list, 0, &out), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_string_equal(buf_data(&out), text);
    buf_fini(&out);
    cJSON_Delete(object);
    cJSON_Delete(list);
}

/* What is wrong now, and was noted as well, is told once. */
static void all_of(const cJSON *all, cJSON *list)
{
    why_of_supervisor(all, list);
    why_of_health(cJSON_GetObjectItemCaseSensitive(all, "health"), list);
    why_of_errors(cJSON_GetObjectItemCaseSensitive(all, "errors"), list);
}

static void test_why(void **state)
{
    (void)state;
    static const char nothing[] = "nothing is wrong that is known of; sidecarctl requests and sidecarctl tail tell what goes on\n";
    tells_why(why_of_supervisor,
              "{\"programs\":[{\"name\":\"proxy\",\"state\":\"ready\",\"reason\":\"\"},"
              "{\"name\":\"ollama\",\"state\":\"backoff\",\"reason\":\"exit code 2: \\u001b\",\"next_start_ms\":2450}],"
              "\"instances\":[{\"model\":\"org/m\",\"state\":\"failed\",\"reason\":\"exit code 1\"}],\"trouble\":{\"ago_s\":12,\"text\":\"killed by signal 9\"}}",
              "ollama has ended: exit code 2: ?; it starts again in 2.4s\n"
              "  what to do: see its last lines: sidecarctl tail ollama\n"
              "org/m has failed: exit code 1\n"
              "  what to do: see its last lines: sidecarctl tail NAME\n"
              "\nbefore that:\n"
              "12s ago: killed by signal 9\n"
              "  what to do: somebody killed it: mostly the kernel, for want of memory (sidecarctl status has the limit)\n");
    tells_why(why_of_health, "{\"error\":\"models are not there yet\",\"models\":{\"failed\":[{\"name\":\"m\",\"reason\":\"the disk is full\"}]}}",
              "models are not there yet\n"
              "the model m is not there: the disk is full\n"
              "  what to do: free some space where the models are kept, then pull again\n");
    tells_why(why_of_errors, "[{\"at\":\"2026-01-01T12:30:05Z\",\"from\":\"request\",\"what\":\"too many\",\"do\":\"wait\",\"id\":\"a1\"},{\"what\":7},{}]",
              "nothing is wrong now; what went wrong last:\n2026-01-01T12:30:05Z: too many (request a1)\n  what to do: wait\n");
    tells_why(why_of_errors, "[{\"what\":\"1\"},{\"what\":\"2\"},{\"what\":\"3\"},{\"what\":\"4\"},{\"what\":\"5\"},{\"what\":\"6\"}]",
              "nothing is wrong now; what went wrong last:\n1\n2\n3\n4\n5\n");
    tells_why(all_of, "{\"programs\":[{\"name\":\"mine\",\"state\":\"backoff\",\"reason\":\"exit code 3\",\"next_start_ms\":2450}],"
                      "\"errors\":[{\"from\":\"program\",\"what\":\"mine has ended: exit code 3\"},{\"what\":\"mine has ended: exit code 4\"},{\"what\":\"yours has failed: exit code 3\"}]}",
              "mine has ended: exit code 3; it starts again in 2.4s\n  what to do: see its last lines: sidecarctl tail mine\n"
              "\nbefore that:\n"
              "mine has ended: exit code 4\n  what to do: see its last lines: sidecarctl tail mine\n"
              "yours has failed: exit code 3\n  what to do: see its last lines: sidecarctl tail yours\n");
    tells_why(all_of, "{\"programs\":[{\"name\":\"ollama\",\"state\":\"failed\",\"reason\":\"exit code 7: odd; 2 restarts within 300s were not enough\"}],"
                      "\"trouble\":{\"ago_s\":1,\"text\":\"ollama has ended: exit code 7: odd; 2 restarts within 300s were not enough\"},"
                      "\"health\":{\"error\":\"ollama has failed: exit code 7: odd; 2 restarts within 300s were not enough\"}}",
              "ollama has failed: exit code 7: odd; 2 restarts within 300s were not enough\n"
              "  what to do: see its last lines (sidecarctl tail ollama), mend it, then sidecarctl start ollama\n");
    tells_why(all_of, "{\"programs\":[{\"name\":\"ollama\",\"state\":\"down\"}],\"sleep\":{\"state\":\"awake\"},\"trouble\":{\"ago_s\":1,\"text\":\"ollama was told to stop\"},"
                      "\"health\":{\"error\":\"ollama does not answer yet\"}}",
              "1s ago: ollama was told to stop\n  what to do: sidecarctl start ollama starts it, or the first request that needs it\n");
    tells_why(all_of, "{\"programs\":[{\"name\":\"ollama\",\"state\":\"ready\"}],\"sleep\":{\"state\":\"awake\"},\"trouble\":{\"ago_s\":1,\"text\":\"ollama was told to stop\"},\"health\":{}}",
              "nothing is wrong now; what went wrong last:\n1s ago: ollama was told to stop\n  what to do: nothing, where its owner did; else sidecarctl start ollama\n");
    tells_why(why_of_requests, "{\"live\":[{\"id\":\"a1\",\"model\":\"m\",\"phase\":\"loading\",\"phase_ms\":9999},{\"id\":\"a2\",\"model\":\"m\",\"phase\":\"queued\",\"phase_ms\":10000},"
                               "{\"id\":\"a3\",\"model\":\"m\",\"phase\":\"streaming\",\"phase_ms\":99999}]}",
              "a request for m stands in line, for 10.0s so far (request a2)\n  what to do: more slots (OLLAMA_NUM_PARALLEL), another backend, or a smaller model\n");
    tells_why(why_of_requests, "7", nothing);
    tells_why(why_of_supervisor, "{\"programs\":7,\"instances\":[7],\"trouble\":null}", nothing);
    tells_why(why_of_health, "[]", nothing);
    tells_why(why_of_errors, "{}", nothing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_a_name_stands_in_a_body_as_text),
        cmocka_unit_test(test_top),
        cmocka_unit_test(test_a_picture_fits_its_terminal),
        cmocka_unit_test(test_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
