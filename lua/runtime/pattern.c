/* SPDX-License-Identifier: MIT */
/* A backtracking matcher over Lua's patterns.
 *
 * A pattern is a row of parts. Parts that can match in one way only (a single character, %b, %f, a
 * back reference, the final $) are taken in a loop; those after which there is a choice (an item
 * with a suffix) or something to undo (a capture) call the matcher for the rest of the pattern.
 * So the depth of the C stack is bounded by the number of such parts, and PATTERN_DEPTH_MAX ends
 * longer ones.
 *
 * What a script can make long is the number of tries. `steps` counts each part, each character
 * tried against an item and each element of a set that is looked at, and is charged in pieces of
 * VM_HOOK_INSTRUCTIONS. A malformed pattern is noticed when the matcher reaches the malformation,
 * as in Lua: a prefix that never matches hides it.
 *
 * Both strings end with a zero byte after their length, as Lua's do: reading the byte at the length
 * is allowed and finds 0. */
#include "runtime/pattern.h"
#include "runtime/vm.h"
#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

static void step(struct pattern *p, size_t count)
{
    if (count < VM_HOOK_INSTRUCTIONS) {
        p->steps += (unsigned)count;
    } else {
        vm_charge(p->L, count);
    }
    if (p->steps >= VM_HOOK_INSTRUCTIONS) pattern_pay(p);
}

void pattern_pay(struct pattern *p)
{
    unsigned steps = p->steps;

    p->steps = 0;
    if (steps > 0) vm_charge(p->L, steps);
}

static bool between(unsigned char low, unsigned char c, unsigned char high)
{
    return low <= c && c <= high;
}

/* Whether c is in the class that the lower case letter names; *known: whether it names one. */
static bool in_named_class(unsigned char c, unsigned char letter, bool *known)
{
    bool lower = between('a', c, 'z'), upper = between('A', c, 'Z'), digit = between('0', c, '9');
    bool graph = between(0x21, c, 0x7e);

    *known = true;
    switch (letter) {
    case 'a': return lower || upper;
    case 'c': return c < 0x20 || c == 0x7f;
    case 'd': return digit;
    case 'g': return graph;
    case 'l': return lower;
    case 'p': return graph && !lower && !upper && !digit;
    case 's': return c == ' ' || between('\t', c, '\r');
    case 'u': return upper;
    case 'w': return lower || upper || digit;
    case 'x': return digit || between('a', c, 'f') || between('A', c, 'F');
    case 'z': return c == 0; /* from 5.1, and still understood by 5.4 */
    default: *known = false; return false;
    }
}

/* Whether c is what %letter stands for: a class, its complement, or the character itself. */
static bool in_class(unsigned char c, unsigned char letter)
{
    bool complement = between('A', letter, 'Z'), known;
    bool in = in_named_class(c, complement ? (unsigned char)(letter + 32) : letter, &known);

    if (!known) return c == letter;
    return in != complement;
}

static unsigned char text_at(const struct pattern *p, size_t at)
{
    return (unsigned char)p->text[at];
}

/* The offset after the item at `at`: one character, %x or a [set]. */
static size_t item_end(struct pattern *p, size_t at)
{
    unsigned char first = text_at(p, at++);
    size_t start = at;

    if (first == '%') {
        if (at == p->text_len) luaL_error(p->L, "malformed pattern (ends with '%%')");
        return at + 1;
    }
    if (first != '[') return at;
    if (text_at(p, at) == '^') at++;
    /* The first character of a set belongs to it, even if it is the bracket. */
    do {
        if (at >= p->text_len) luaL_error(p->L, "malformed pattern (missing ']')");
        if (text_at(p, at++) == '%' && at < p->text_len) at++;
    } while (text_at(p, at) != ']' || at >= p->text_len);
    step(p, at - start);
    return at + 1;
}

/* Whether c is in the set whose '[' is at `at` and which ends before `end`. */
static bool in_set(struct pattern *p, unsigned char c, size_t at, size_t end)
{
    size_t bracket = end - 1, first = at;
    bool found = false, complement = text_at(p, ++at) == '^';

    if (complement) at++;
    while (at < bracket && !found) {
        if (text_at(p, at) == '%') {
            found = in_class(c, text_at(p, at + 1));
            at += 2;
        } else if (text_at(p, at + 1) == '-' && at + 2 < bracket) {
            found = between(text_at(p, at), c, text_at(p, at + 2));
            at += 3;
        } else {
            found = text_at(p, at) == c;
            at++;
        }
    }
    step(p, at - first);
    return found != complement;
}

/* Whether the subject's character at s is one for the item [at, end). */
static bool fits(struct pattern *p, size_t s, size_t at, size_t end)
{
    unsigned char c;

    step(p, 1);
    if (s >= p->subject_len) return false;
    c = (unsigned char)p->subject[s];
    switch (text_at(p, at)) {
    case '.': return true;
    case '%': return in_class(c, text_at(p, at + 1));
    case '[': return in_set(p, c, at, end);
    default: return text_at(p, at) == c;
    }
}

static size_t match_rest(struct pattern *p, size_t s, size_t at);

/* %bxy at s, with xy at `at`. */
static size_t match_balanced(struct pattern *p, size_t s, size_t at)
{
    size_t open = 0;
    char first, last;

    if (at + 2 > p->text_len) {
        luaL_error(p->L, "malformed pattern (missing arguments to '%%b')");
    }
    first = p->text[at], last = p->text[at + 1];
    if (s >= p->subject_len || p->subject[s] != first) return PATTERN_NONE;
    for (s++; s < p->subject_len; s++) {
        step(p, 1);
        if (p->subject[s] == last) {
            if (open-- == 0) return s + 1;
        } else if (p->subject[s] == first) {
            open++;
        }
    }
    return PATTERN_NONE;
}

/* %f[set] at s, with the set in [at, end): the border of outside and inside. */
static bool at_frontier(struct pattern *p, size_t s, size_t at, size_t end)
{
    unsigned char before = s == 0 ? 0 : (unsigned char)p->subject[s - 1];

    return !in_set(p, before, at, end) && in_set(p, (unsigned char)p->subject[s], at, end);
}

/* %1 to %9 at s: the same bytes again. */
static size_t match_again(struct pattern *p, size_t s, unsigned char digit)
{
    unsigned index = (unsigned)digit - '1';
    const struct pattern_capture *capture;

    if (digit == '0' || index >= p->captures || p->capture[index].kind == PATTERN_OPEN) {
        luaL_error(p->L, "invalid capture index %%%d", digit - '0');
    }
    capture = &p->capture[index];
    if (capture->kind == PATTERN_POSITION || capture->len > p->subject_len - s) return PATTERN_NONE;
    step(p, capture->len / VM_BYTES_PER_INSTRUCTION);
    if (memcmp(p->subject + capture->start, p->subject + s, capture->len) != 0) return PATTERN_NONE;
    return s + capture->len;
}

static size_t open_capture(struct pattern *p, size_t s, size_t at)
{
    bool position = text_at(p, at + 1) == ')';
    size_t end;

    if (p->captures >= PATTERN_CAPTURES_MAX) luaL_error(p->L, "too many captures");
    p->capture[p->captures].start = s;
    p->capture[p->captures].len = 0;
    p->capture[p->captures].kind = position ? PATTERN_POSITION : PATTERN_OPEN;
    p->captures++;
    end = match_rest(p, s, at + (position ? 2 : 1));
    if (end == PATTERN_NONE) p->captures--;
    return end;
}

static size_t close_capture(struct pattern *p, size_t s, size_t at)
{
    struct pattern_capture *capture;
    unsigned index = p->captures;
    size_t end;

    do {
        if (index == 0) luaL_error(p->L, "invalid pattern capture");
        index--;
    } while (p->capture[index].kind != PATTERN_OPEN);
    capture = &p->capture[index];
    capture->len = s - capture->start;
    capture->kind = PATTERN_CLOSED;
    end = match_rest(p, s, at + 1);
    if (end == PATTERN_NONE) capture->kind = PATTERN_OPEN;
    return end;
}

/* The item [at, end) with * (least 0) or + (least 1): as many as there are, then fewer. */
static size_t match_greedy(struct pattern *p, size_t s, size_t at, size_t end, size_t least)
{
    size_t count = 0, found;

    while (fits(p, s + count, at, end)) count++;
    for (; count + 1 > least; count--) {
        found = match_rest(p, s + count, end + 1);
        if (found != PATTERN_NONE) return found;
        if (count == 0) break;
    }
    return PATTERN_NONE;
}

/* The item with '-': none, then more. */
static size_t match_lazy(struct pattern *p, size_t s, size_t at, size_t end)
{
    size_t found;

    for (;; s++) {
        found = match_rest(p, s, end + 1);
        if (found != PATTERN_NONE) return found;
        if (!fits(p, s, at, end)) return PATTERN_NONE;
    }
}

/* One item with its suffix. Moves *at when there is no choice left: then the caller goes on at the
 * offset that is returned; else *at is the pattern's end. */
static size_t match_item(struct pattern *p, size_t s, size_t *at)
{
    size_t start = *at, end = item_end(p, start), found;
    char suffix = end < p->text_len ? p->text[end] : '\0';
    bool one = fits(p, s, start, end);

    *at = end + 1;
    switch (suffix) {
    case '?':
        found = one ? match_rest(p, s + 1, end + 1) : PATTERN_NONE;
        if (found == PATTERN_NONE) return s;
        break;
    case '*':
        if (!one) return s;
        found = match_greedy(p, s, start, end, 0);
        break;
    case '-':
        if (!one) return s;
        found = match_lazy(p, s, start, end);
        break;
    case '+': found = one ? match_greedy(p, s, start, end, 1) : PATTERN_NONE; break;
    default: *at = end; return one ? s + 1 : PATTERN_NONE;
    }
    *at = p->text_len;
    return found;
}

/* A part that begins with '%' and is no single character. @return false: it is one */
static bool match_special(struct pattern *p, size_t *s, size_t *at)
{
    unsigned char kind = text_at(p, *at + 1);
    size_t end;

    if (kind == 'b') {
        *s = match_balanced(p, *s, *at + 2);
        *at += 4;
    } else if (kind == 'f') {
        if (text_at(p, *at + 2) != '[') {
            luaL_error(p->L, "missing '[' after '%%f' in pattern");
        }
        end = item_end(p, *at + 2);
        if (!at_frontier(p, *s, *at + 2, end)) *s = PATTERN_NONE;
        *at = end;
    } else if (between('0', kind, '9')) {
        *s = match_again(p, *s, kind);
        *at += 2;
    } else {
        return false;
    }
    return true;
}

/* The pattern from `at` on, at s. @return the end of the match or PATTERN_NONE */
static size_t match_rest(struct pattern *p, size_t s, size_t at)
{
    if (++p->depth > PATTERN_DEPTH_MAX) luaL_error(p->L, "pattern too complex");
    while (s != PATTERN_NONE && at < p->text_len) {
        unsigned char c = text_at(p, at);

        step(p, 1);
        if (c == '(' || c == ')') {
            s = c == '(' ? open_capture(p, s, at) : close_capture(p, s, at);
            break;
        }
        if (c == '$' && at + 1 == p->text_len) {
            if (s != p->subject_len) s = PATTERN_NONE;
            break;
        }
        if (c == '%' && match_special(p, &s, &at)) continue;
        s = match_item(p, s, &at);
    }
    p->depth--;
    return s;
}

void pattern_init(struct pattern *p, lua_State *L, const char *subject, size_t subject_len,
                  const char *text, size_t text_len)
{
    p->L = L;
    p->subject = subject;
    p->subject_len = subject_len;
    p->text = text;
    p->text_len = text_len;
    p->captures = p->depth = p->steps = 0;
}

size_t pattern_match(struct pattern *p, size_t at)
{
    p->captures = p->depth = 0;
    step(p, 1);
    return match_rest(p, at, 0);
}

void pattern_push(struct pattern *p, unsigned index, size_t start, size_t end)
{
    const struct pattern_capture *capture = &p->capture[index];

    if (index >= p->captures) {
        if (index != 0) luaL_error(p->L, "invalid capture index %%%d", (int)index + 1);
        lua_pushlstring(p->L, p->subject + start, end - start);
    } else if (capture->kind == PATTERN_POSITION) {
        lua_pushinteger(p->L, (lua_Integer)capture->start + 1);
    } else {
        if (capture->kind == PATTERN_OPEN) luaL_error(p->L, "unfinished capture");
        step(p, capture->len / VM_BYTES_PER_INSTRUCTION);
        lua_pushlstring(p->L, p->subject + capture->start, capture->len);
    }
}

int pattern_push_all(struct pattern *p, size_t start, size_t end)
{
    unsigned count = p->captures == 0 && start != PATTERN_NONE ? 1 : p->captures;

    luaL_checkstack(p->L, (int)count, "too many captures");
    for (unsigned i = 0; i < count; i++) pattern_push(p, i, start, end);
    return (int)count;
}
