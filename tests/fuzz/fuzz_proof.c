/* SPDX-License-Identifier: MIT */
/* Proofs of identity and key files from hostile bytes.
 *
 * The input is tried as it is, and then behind a good key and signature, so that the reader is
 * reached past them. Whatever is accepted must name the one peer that could have signed, with
 * parameters inside the input; made again from the result, it must be accepted again. The input as
 * parameters must come back whole, and a key file that decodes must encode to a file that decodes
 * to the same key. */
#include "base/assert.h"
#include "identity/proof.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t noise_static[32] = {1, 2, 3};

static void check_proof(const struct key_pair *pair, const uint8_t *bytes, size_t size)
{
    struct peer_id id;
    const uint8_t *params;
    size_t params_len;
    int error = proof_check(bytes, size, noise_static, &id, &params, &params_len);
    if (error != 0) {
        WEIR_ASSERT(id.len == 0 && params == NULL && params_len == 0);
        return;
    }
    WEIR_ASSERT(peer_id_equal(&id, &pair->id));
    WEIR_ASSERT(params_len <= PROOF_PARAMS_MAX);
    if (params == NULL) return;
    WEIR_ASSERT(params >= bytes && params + params_len <= bytes + size);

    uint8_t again[PROOF_SIZE_MAX];
    const uint8_t *back;
    size_t back_len;
    int len = proof_make(pair, noise_static, params, params_len, again, sizeof again);
    WEIR_ASSERT(len > 0);
    error = proof_check(again, (size_t)len, noise_static, &id, &back, &back_len);
    WEIR_ASSERT(error == 0 && back_len == params_len);
    WEIR_ASSERT(back_len == 0 || memcmp(back, params, back_len) == 0);
}

static void check_parameters(const struct key_pair *pair, const uint8_t *data, size_t size)
{
    uint8_t bytes[PROOF_SIZE_MAX];
    int len = proof_make(pair, noise_static, data, size, bytes, sizeof bytes);
    WEIR_ASSERT((len > 0) == (size <= PROOF_PARAMS_MAX));
    if (len > 0) check_proof(pair, bytes, (size_t)len);
}

static void check_key_file(const uint8_t *data, size_t size)
{
    struct key_pair pair, back;
    char text[KEY_PAIR_TEXT_SIZE];
    const char *why;
    int error = key_pair_decode(&pair, data, size, &why);
    WEIR_ASSERT((error == 0) == (why == NULL));
    if (error != 0) return;
    size_t len = key_pair_encode(&pair, text);
    WEIR_ASSERT(key_pair_decode(&back, text, len, NULL) == 0);
    WEIR_ASSERT(memcmp(&back, &pair, sizeof back) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t seed[32] = {7}, bytes[2 * PROOF_SIZE_MAX];
    struct key_pair pair;
    if (size == 0) return 0;
    key_pair_from_seed(&pair, seed);
    check_proof(&pair, data, size);
    int len = proof_make(&pair, noise_static, NULL, 0, bytes, sizeof bytes);
    WEIR_ASSERT(len > 0);
    if (size <= sizeof bytes - (size_t)len) {
        memcpy(bytes + len, data, size);
        check_proof(&pair, bytes, (size_t)len + size);
    }
    check_parameters(&pair, data, size);
    check_key_file(data, size);
    return 0;
}
