/*
 * json_blank: takes members and parts of strings out of a JSON text where it lies, by writing spaces over them: nothing moves, however
 * many they are. Pure.
 */
#ifndef PROXY_JSON_BLANK_H
#define PROXY_JSON_BLANK_H

#include "common/json_walk.h"

/* An object while a walk goes over its members, and some are taken out. */
struct json_blank {
    char *bytes;      /* the text that the walk goes over */
    const char *kept; /* behind the last member that stays; NULL: none so far */
};

/* The member stays. */
void json_blank_keep(struct json_blank *b, const struct json_member *m);
/* It goes, with the comma that it leaves behind. */
void json_blank_member(struct json_blank *b, const struct json_member *m);
/* It is called otherwise from now on; the name is no longer than the one that it has, and has nothing to escape. */
void json_blank_rename(struct json_blank *b, const struct json_member *m, const char *name);
/* Of a string only this part of its content stays. bytes: the text that both are places of. */
void json_blank_string(char *bytes, const struct json_value *string, struct json_text part);

#endif
