/* proxy/health: what is waited for, in words. */
#include "proxy/health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What /health says where the list's one model is pulled, and has come so far. */
static void assert_waits_for(uint64_t completed_bytes, uint64_t total_bytes, const char *words)
{
    static struct contract_page page;
    struct buf out;
    int status = 0;
    char needle[128];
    memset(&page, 0, sizeof page);
    page.version = CONTRACT_VERSION;
    page.phase = CONTRACT_PHASE_LISTED;
    page.models_n = 1;
    page.models[0].state = CONTRACT_MODEL_PULLING;
    page.models[0].completed_bytes = completed_bytes;
    page.models[0].total_bytes = total_bytes;
    snprintf(page.models[0].name, sizeof page.models[0].name, "m");
    buf_init(&out, 64 * 1024);
    assert_int_equal(health_write(&out, &(struct health_input){.page = &page, .api = HEALTH_API_READY, .api_reason = ""}, &status), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    snprintf(needle, sizeof needle, "\"waiting_for\":[\"model m: %s\"]", words);
    if (!strstr(buf_data(&out), needle))
        fail_msg("no %s in %s", needle, buf_data(&out));
    assert_int_equal(status, 503);
    buf_fini(&out);
}

static void test_a_pull_is_told_in_percent(void **state)
{
    (void)state;
    assert_waits_for(0, 0, "0 %");
    assert_waits_for(0, 200, "0 %");
    assert_waits_for(33, 200, "16 %");
    assert_waits_for(200, 200, "100 %");
    assert_waits_for(300, 200, "100 %"); /* more has come than was told: the log says the same */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pull_is_told_in_percent),
    };
    return cmocka_run_group_tests_name("proxy/health", tests, NULL, NULL);
}
