/* SPDX-License-Identifier: MIT */
/* string.format: Lua 5.4's conversions, with F too, and without p.
 *
 * A specification is read by us: flags, a width and a precision of at most two digits each, and
 * only those that the conversion allows; what reaches the C library is a format that was checked,
 * with one number. Text is padded here. A value without a text of its own is named by its type:
 * an address would differ from run to run. */
#include "runtime/pattern.h"
#include "runtime/sandbox.h"
#include "runtime/vm.h"
#include <inttypes.h>
#include <lauxlib.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
    SPEC_LEN_MAX = 22,    /* longest specification: room for every flag a few times */
    NUMBER_LEN_MAX = 512, /* "%-99.99f" of the largest number has 409 */
    INTEGER_COST = 20,
    FLOAT_COST = 40,
    FLOAT_COST_OF_DIGIT = 3 /* 1e308 with 99 decimals takes the C library six microseconds */
};

struct spec {
    char text[SPEC_LEN_MAX + 1]; /* between '%' and the conversion */
    char conversion;
    bool left;
    int width, precision; /* precision -1: none */
};

static void fail(lua_State *L, const char *form, const struct spec *spec)
{
    char conversion[2] = {spec->conversion, '\0'};

    luaL_error(L, form, spec->text, conversion);
}

static int two_digits(const char **at)
{
    int value = 0;

    for (int i = 0; i < 2 && **at >= '0' && **at <= '9'; i++) value = value * 10 + *(*at)++ - '0';
    return value;
}

/* Take the text after '%' up to the conversion. @return what follows */
static const char *read_spec(lua_State *L, const char *at, struct spec *spec)
{
    size_t len = strspn(at, "-+ #0123456789.");

    if (len > SPEC_LEN_MAX) luaL_error(L, "invalid format (too long)");
    memcpy(spec->text, at, len);
    spec->text[len] = '\0';
    spec->conversion = at[len];
    return at + len + (at[len] != '\0');
}

/* The flags, width and precision, if the conversion allows them. */
static void check_spec(lua_State *L, struct spec *spec, const char *flags, bool precision)
{
    const char *at = spec->text + strspn(spec->text, flags);

    spec->left = memchr(spec->text, '-', (size_t)(at - spec->text)) != NULL;
    spec->precision = -1;
    /* A zero here is a flag that the conversion does not have. */
    spec->width = *at == '0' ? 0 : two_digits(&at);
    if (*at == '.' && precision) {
        at++;
        spec->precision = two_digits(&at);
    }
    if (*at != '\0') fail(L, "invalid conversion specification: '%%%s%s'", spec);
}

static void add_padded(luaL_Buffer *out, const struct spec *spec, const char *text, size_t len)
{
    size_t pad = len < (size_t)spec->width ? (size_t)spec->width - len : 0;

    for (size_t i = 0; i < pad && !spec->left; i++) luaL_addchar(out, ' ');
    luaL_addlstring(out, text, len);
    for (size_t i = 0; i < pad && spec->left; i++) luaL_addchar(out, ' ');
}

static void add_integer(lua_State *L, luaL_Buffer *out, struct spec *spec, int argument)
{
    static const char *const flags[] = {"-+0 ", "-0", "-#0"};
    bool is_signed = spec->conversion == 'd' || spec->conversion == 'i';
    lua_Integer value;
    char form[SPEC_LEN_MAX + 8];
    char *text;
    int len;

    value = lib_integer(L, argument);
    check_spec(L, spec, flags[is_signed ? 0 : spec->conversion == 'u' ? 1 : 2], true);
    vm_charge(L, INTEGER_COST);
    snprintf(form, sizeof form, "%%%sll%c", spec->text, spec->conversion);
    text = luaL_prepbuffsize(out, NUMBER_LEN_MAX);
    len = snprintf(text, NUMBER_LEN_MAX, form, (long long)value);
    luaL_addsize(out, (size_t)len);
}

static void add_float(lua_State *L, luaL_Buffer *out, struct spec *spec, int argument)
{
    double value;
    char form[SPEC_LEN_MAX + 8];
    char *text;
    int len;

    lib_charge_numeral(L, argument);
    value = (double)luaL_checknumber(L, argument);
    check_spec(L, spec, "-+ #0", true);
    vm_charge(L, FLOAT_COST);
    snprintf(form, sizeof form, "%%%s%c", spec->text, spec->conversion);
    text = luaL_prepbuffsize(out, NUMBER_LEN_MAX);
    len = snprintf(text, NUMBER_LEN_MAX, form, value);
    vm_charge(L, (uint64_t)len * FLOAT_COST_OF_DIGIT);
    luaL_addsize(out, (size_t)len);
}

static void add_string(lua_State *L, luaL_Buffer *out, struct spec *spec, int argument)
{
    char copy[100]; /* a width or precision is at most 99 */
    size_t len;
    const char *text;

    lib_charge_number(L, argument);
    text = sandbox_text(L, argument, &len);
    lib_charge_copy(L, len);
    if (spec->text[0] == '\0') {
        luaL_addvalue(out);
        return;
    }
    luaL_argcheck(L, len == strlen(text), argument, "string contains zeros");
    check_spec(L, spec, "-", true);
    if (spec->precision >= 0 && len > (size_t)spec->precision) len = (size_t)spec->precision;
    if (len >= sizeof copy) {
        luaL_addvalue(out);
        return;
    }
    memcpy(copy, text, len);
    /* The buffer wants the stack as it left it. */
    lua_pop(L, 1);
    add_padded(out, spec, copy, len);
}

static void add_quoted_string(lua_State *L, luaL_Buffer *out, int argument)
{
    size_t len;
    const char *s = lua_tolstring(L, argument, &len);

    vm_charge(L, 1 + len);
    luaL_addchar(out, '"');
    for (; len > 0; len--, s++) {
        unsigned char c = (unsigned char)*s;
        bool digit_follows = len > 1 && s[1] >= '0' && s[1] <= '9';

        if (c == '"' || c == '\\' || c == '\n') {
            luaL_addchar(out, '\\');
            luaL_addchar(out, *s);
        } else if (c < 0x20 || c == 0x7f) {
            luaL_addchar(out, '\\');
            if (c >= 100 || digit_follows) luaL_addchar(out, (char)('0' + c / 100));
            if (c >= 10 || digit_follows) luaL_addchar(out, (char)('0' + c / 10 % 10));
            luaL_addchar(out, (char)('0' + c % 10));
        } else {
            luaL_addchar(out, *s);
        }
    }
    luaL_addchar(out, '"');
}

static void add_quoted_number(lua_State *L, luaL_Buffer *out, int argument)
{
    lua_Integer integer = lua_tointeger(L, argument);
    double value = (double)lua_tonumber(L, argument);
    char text[64];

    vm_charge(L, INTEGER_COST);
    if (lua_isinteger(L, argument)) {
        /* The least integer has no decimal numeral that is an integer. */
        snprintf(text, sizeof text, integer == LUA_MININTEGER ? "0x%" PRIx64 : "%" PRId64,
                 (int64_t)integer);
    } else if (isnan(value)) {
        snprintf(text, sizeof text, "(0/0)");
    } else if (isinf(value)) {
        snprintf(text, sizeof text, value > 0 ? "1e9999" : "-1e9999");
    } else {
        snprintf(text, sizeof text, "%a", value);
    }
    luaL_addstring(out, text);
}

/* %q: text that Lua reads back as the same value. */
static void add_quoted(lua_State *L, luaL_Buffer *out, const struct spec *spec, int argument)
{
    if (spec->text[0] != '\0') luaL_error(L, "specifier '%%q' cannot have modifiers");
    switch (lua_type(L, argument)) {
    case LUA_TSTRING: add_quoted_string(L, out, argument); break;
    case LUA_TNUMBER: add_quoted_number(L, out, argument); break;
    case LUA_TNIL: luaL_addstring(out, "nil"); break;
    case LUA_TBOOLEAN: luaL_addstring(out, lua_toboolean(L, argument) ? "true" : "false"); break;
    default: luaL_argerror(L, argument, "value has no literal form");
    }
}

static void add_conversion(lua_State *L, luaL_Buffer *out, struct spec *spec, int argument)
{
    char c;

    switch (spec->conversion) {
    case 'c':
        check_spec(L, spec, "-", false);
        c = (char)lib_integer(L, argument);
        add_padded(out, spec, &c, 1);
        break;
    case 'd':
    case 'i':
    case 'u':
    case 'o':
    case 'x':
    case 'X': add_integer(L, out, spec, argument); break;
    case 'a':
    case 'A':
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G': add_float(L, out, spec, argument); break;
    case 's': add_string(L, out, spec, argument); break;
    case 'q': add_quoted(L, out, spec, argument); break;
    default: fail(L, "invalid conversion '%%%s%s' to 'format'", spec);
    }
}

int lib_format(lua_State *L)
{
    size_t len;
    const char *at = luaL_checklstring(L, 1, &len), *end = at + len, *percent;
    int argument = 1, top = lua_gettop(L);
    luaL_Buffer out;
    struct spec spec;

    vm_charge(L, 1 + len / VM_BYTES_PER_INSTRUCTION);
    luaL_buffinit(L, &out);
    while ((percent = memchr(at, '%', (size_t)(end - at))) != NULL) {
        luaL_addlstring(&out, at, (size_t)(percent - at));
        at = percent + 1;
        if (*at == '%') {
            luaL_addchar(&out, '%');
            at++;
            continue;
        }
        if (++argument > top) return luaL_argerror(L, argument, "no value");
        vm_charge(L, 1);
        at = read_spec(L, at, &spec);
        add_conversion(L, &out, &spec, argument);
    }
    luaL_addlstring(&out, at, (size_t)(end - at));
    luaL_pushresult(&out);
    return 1;
}
