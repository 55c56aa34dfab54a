/* See new_key.h. */
#include "ctl/new_key.h"

#include "common/sha256.h"
#include "common/sys.h"

#include <stdio.h>
#include <string.h>

int new_key_run(const struct ctl *ctl)
{
    unsigned char bytes[SHA256_BYTES]; /* 256 bits, in the same digits as a digest */
    char key[SHA256_HEX_BYTES + 3] = "sk-", hex[SHA256_HEX_BYTES];
    int error = sys_random_secret(bytes, sizeof bytes);
    if (error) {
        fprintf(stderr, "sidecarctl: the kernel gives no random bytes: %s\n", strerror(-error));
        return CTL_NOBODY;
    }
    sha256_hex(bytes, key + 3);
    sha256(key, strlen(key), bytes);
    sha256_hex(bytes, hex);
    printf(ctl->is_json ? "{\"key\":\"%s\",\"secret_hash\":\"sha256:%s\"}\n" : "key: %s\n\n[key:NAME]\nsecret_hash = sha256:%s\n", key, hex);
    return fflush(stdout) == 0 ? CTL_OK : CTL_NOBODY;
}
