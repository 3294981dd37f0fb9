/* SPDX-License-Identifier: MIT */
#include "api/keys.h"
#include "api/enter.h"
#include "host/fail.h"
#include "host/key_file.h"

_Static_assert(WEIR_KEY_BYTES == KEY_PAIR_SECRET_SIZE, "the ABI's keys are those of identity");

int keys_take(struct key_pair *pair, const void *key)
{
    return key_pair_take(pair, key);
}

WEIR_API int32_t weir_key_generate(void *key, weir_error *error)
{
    struct entropy entropy = {entropy_system_fill, NULL};
    struct key_pair pair;
    weir_error facts;
    int result = facts_begin(&facts, error);
    if (result != 0) return result;
    if (key == NULL) return facts_end(&facts, error, WEIR_E_NULL);
    result = secret_init();
    if (result == 0) {
        key_pair_generate(&pair, &entropy);
        key_pair_secret(&pair, key);
        key_pair_wipe(&pair);
    }
    return facts_end(&facts, error, result);
}

WEIR_API int32_t weir_key_load(const char *path, void *key, weir_error *error)
{
    struct key_pair pair;
    weir_error facts;
    int result = facts_begin(&facts, error);
    if (result != 0) return result;
    if (path == NULL || key == NULL) return facts_end(&facts, error, WEIR_E_NULL);
    result = secret_init();
    if (result == 0) result = key_file_load(path, &pair, &facts);
    if (result == 0) {
        key_pair_secret(&pair, key);
        key_pair_wipe(&pair);
    }
    return facts_end(&facts, error, result);
}

WEIR_API int32_t weir_key_save(const char *path, const void *key, weir_error *error)
{
    struct key_pair pair;
    weir_error facts;
    int result = facts_begin(&facts, error);
    if (result != 0) return result;
    if (path == NULL || key == NULL) return facts_end(&facts, error, WEIR_E_NULL);
    result = secret_init();
    if (result == 0) result = keys_take(&pair, key);
    if (result == 0) {
        result = key_file_save(path, &pair, &facts);
        key_pair_wipe(&pair);
    } else if (result == WEIR_E_KEY) {
        fail_with(&facts, result,
                  "the secret and the public half of the key do not belong together");
    }
    return facts_end(&facts, error, result);
}

WEIR_API int32_t weir_key_peer(const void *key, weir_peer_id *peer)
{
    struct key_pair pair;
    if (key == NULL || peer == NULL) return WEIR_E_NULL;
    int result = secret_init();
    if (result == 0) result = keys_take(&pair, key);
    if (result != 0) return result;
    enter_peer_out(&pair.id, peer);
    key_pair_wipe(&pair);
    return 0;
}
