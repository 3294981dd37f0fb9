/* SPDX-License-Identifier: MIT */
#include "identity/key_pair.h"
#include "base/assert.h"
#include "crypto/ed25519.h"
#include "crypto/hkdf.h"
#include "weir.h"
#include <string.h>

/* The text of a key file, version 1:
 *
 *     weir key 1
 *     # peer 12D3KooW...
 *     # Whoever has this file is this peer. Keep it secret.
 *     key CAESQ...
 *     check 0123456789abcdef
 *
 * The value of `key` is base64 of libp2p's PrivateKey message (08 01 12 40, seed, public key), the
 * very form that other libp2p programs keep and take. `check` is the first 8 bytes, in hex, of
 * SHA-256("weir key 1" and the message): it finds a file cut short or mistyped, and hides nothing.
 * The comment is for people; the id is always computed from the key. A file is text so that it can
 * be told from other files, printed and typed in again.
 *
 * A key whose two halves do not belong together is refused: signing with a foreign public half
 * gives the secret away. */

enum { MESSAGE_SIZE = 68, MESSAGE_HEAD_SIZE = 4, CHECK_SIZE = 8 };
static const uint8_t message_head[MESSAGE_HEAD_SIZE] = {0x08, 0x01, 0x12, 0x40};
static const char first_line[] = "weir key 1";
static const char first_words[] = "weir key ";
static const char key_word[] = "key ";
static const char check_word[] = "check ";
static const char hex_digits[] = "0123456789abcdef";

static const char why_not_ours[] = "this is not a weir key file: its first line is another";
static const char why_version[] = "the key file is of a version that this weir does not know";
static const char why_long[] = "the file is too long for a key file";
static const char why_line[] = "the key file has a line that is neither key, check nor comment";
static const char why_twice[] = "the key file has two keys or two checks";
static const char why_missing[] = "the key file ends before its key and its check";
static const char why_base64[] = "the key in the key file is not base64 of 68 bytes";
static const char why_check[] = "the key file is damaged: key and check do not belong together";
static const char why_type[] = "the key in the key file is not an Ed25519 key";
static const char why_halves[] = "the key file's secret and public halves do not belong together";

void key_pair_from_seed(struct key_pair *pair, const uint8_t seed[32])
{
    uint8_t secret[ED25519_SECRET_SIZE], public_key[ED25519_PUBLIC_SIZE];
    ed25519_pair_from(secret, public_key, seed);
    memcpy(pair->seed, secret, sizeof pair->seed);
    peer_id_from_public_key(&pair->id, public_key);
    secret_zero(secret, sizeof secret);
}

void key_pair_generate(struct key_pair *pair, const struct entropy *entropy)
{
    uint8_t seed[ED25519_SEED_SIZE];
    entropy_fill(entropy, seed, sizeof seed);
    key_pair_from_seed(pair, seed);
    secret_zero(seed, sizeof seed);
}

void key_pair_wipe(struct key_pair *pair)
{
    secret_zero(pair, sizeof *pair);
}

void key_pair_secret(const struct key_pair *pair, uint8_t secret[KEY_PAIR_SECRET_SIZE])
{
    const uint8_t *public_key = peer_id_key(&pair->id);
    WEIR_ASSERT(public_key != NULL);
    memcpy(secret, pair->seed, sizeof pair->seed);
    memcpy(secret + sizeof pair->seed, public_key, ED25519_PUBLIC_SIZE);
}

int key_pair_take(struct key_pair *pair, const uint8_t secret[KEY_PAIR_SECRET_SIZE])
{
    uint8_t own[KEY_PAIR_SECRET_SIZE];
    key_pair_from_seed(pair, secret);
    key_pair_secret(pair, own);
    bool same = secret_equal(own, secret, sizeof own);
    secret_zero(own, sizeof own);
    if (!same) key_pair_wipe(pair);
    return same ? 0 : WEIR_E_KEY;
}

void key_pair_sign(const struct key_pair *pair, const void *message, size_t len,
                   uint8_t signature[64])
{
    uint8_t secret[KEY_PAIR_SECRET_SIZE];
    key_pair_secret(pair, secret);
    ed25519_sign(signature, message, len, secret);
    secret_zero(secret, sizeof secret);
}

static void key_pair_check(const uint8_t message[MESSAGE_SIZE], char text[2 * CHECK_SIZE])
{
    uint8_t hash[SHA256_SIZE];
    sha256_two(first_line, sizeof first_line - 1, message, MESSAGE_SIZE, hash);
    for (size_t i = 0; i < CHECK_SIZE; i++) {
        text[2 * i] = hex_digits[hash[i] >> 4];
        text[2 * i + 1] = hex_digits[hash[i] & 15];
    }
}

/* Text is built by appending; KEY_PAIR_TEXT_SIZE has room to spare, which is asserted. */
static size_t key_pair_append(char *text, size_t at, const char *more, size_t len)
{
    WEIR_ASSERT(len <= KEY_PAIR_TEXT_SIZE - at);
    memcpy(text + at, more, len);
    return at + len;
}

size_t key_pair_encode(const struct key_pair *pair, char text[KEY_PAIR_TEXT_SIZE])
{
    static const char head[] = "weir key 1\n# peer ";
    static const char warning[] = "\n# Whoever has this file is this peer. Keep it secret.\nkey ";
    uint8_t message[MESSAGE_SIZE];
    memcpy(message, message_head, MESSAGE_HEAD_SIZE);
    key_pair_secret(pair, message + MESSAGE_HEAD_SIZE);
    char id[PEER_ID_TEXT_SIZE], base64[SECRET_BASE64_SIZE(MESSAGE_SIZE)], check[2 * CHECK_SIZE];
    size_t id_len = peer_id_format(&pair->id, id);
    secret_base64_encode(base64, sizeof base64, message, sizeof message);
    key_pair_check(message, check);

    size_t at = key_pair_append(text, 0, head, sizeof head - 1);
    at = key_pair_append(text, at, id, id_len);
    at = key_pair_append(text, at, warning, sizeof warning - 1);
    at = key_pair_append(text, at, base64, strlen(base64));
    at = key_pair_append(text, at, "\n", 1);
    at = key_pair_append(text, at, check_word, sizeof check_word - 1);
    at = key_pair_append(text, at, check, sizeof check);
    at = key_pair_append(text, at, "\n", 1);
    secret_zero(message, sizeof message);
    secret_zero(base64, sizeof base64);
    return at;
}

/* A piece of the text, without its line end. */
struct line {
    const char *text;
    size_t len;
};

/* @return false at the end of the text */
static bool line_next(struct line *rest, struct line *line)
{
    if (rest->len == 0) return false;
    const char *end = memchr(rest->text, '\n', rest->len);
    size_t len = end == NULL ? rest->len : (size_t)(end - rest->text);
    *line = (struct line){rest->text, len};
    size_t used = end == NULL ? len : len + 1;
    rest->text += used;
    rest->len -= used;
    if (line->len > 0 && line->text[line->len - 1] == '\r') line->len--;
    return true;
}

static bool line_starts(const struct line *line, const char *word)
{
    size_t len = strlen(word);
    return line->len >= len && memcmp(line->text, word, len) == 0;
}

/* What follows the word, into *value; a second one is refused. */
static const char *line_take(const struct line *line, const char *word, struct line *value)
{
    if (value->text != NULL) return why_twice;
    size_t len = strlen(word);
    *value = (struct line){line->text + len, line->len - len};
    return NULL;
}

/* Find the two values. @return NULL or what is wrong */
static const char *key_pair_scan(struct line text, struct line *key, struct line *check)
{
    struct line line;
    if (text.len > KEY_PAIR_TEXT_SIZE) return why_long;
    if (!line_next(&text, &line) || !line_starts(&line, first_words)) return why_not_ours;
    if (line.len != sizeof first_line - 1 || !line_starts(&line, first_line)) return why_version;
    while (line_next(&text, &line)) {
        const char *why = NULL;
        if (line.len == 0 || line.text[0] == '#') continue;
        if (line_starts(&line, key_word)) {
            why = line_take(&line, key_word, key);
        } else if (line_starts(&line, check_word)) {
            why = line_take(&line, check_word, check);
        } else {
            why = why_line;
        }
        if (why != NULL) return why;
    }
    return key->text == NULL || check->text == NULL ? why_missing : NULL;
}

/* Judge the message. @return NULL with *pair filled, or what is wrong */
static const char *key_pair_accept(struct key_pair *pair, const struct line *key,
                                   const struct line *check, uint8_t message[MESSAGE_SIZE])
{
    size_t len = 0;
    int failed = secret_base64_decode(message, MESSAGE_SIZE, &len, key->text, key->len);
    if (failed != 0 || len != MESSAGE_SIZE) return why_base64;
    char expected[2 * CHECK_SIZE];
    key_pair_check(message, expected);
    if (check->len != sizeof expected) return why_check;
    if (memcmp(check->text, expected, sizeof expected) != 0) return why_check;
    if (memcmp(message, message_head, MESSAGE_HEAD_SIZE) != 0) return why_type;
    return key_pair_take(pair, message + MESSAGE_HEAD_SIZE) == 0 ? NULL : why_halves;
}

int key_pair_decode(struct key_pair *pair, const void *bytes, size_t len, const char **why)
{
    uint8_t message[MESSAGE_SIZE] = {0};
    struct line key = {0}, check = {0};
    memset(pair, 0, sizeof *pair);
    const char *wrong = key_pair_scan((struct line){bytes, len}, &key, &check);
    if (wrong == NULL) wrong = key_pair_accept(pair, &key, &check, message);
    if (wrong != NULL) key_pair_wipe(pair);
    secret_zero(message, sizeof message);
    if (why != NULL) *why = wrong;
    return wrong == NULL ? 0 : WEIR_E_KEY;
}
