/* SPDX-License-Identifier: MIT */
/* Walks the instructions of a compiled function (dump.h) in order, going into an inner function
 * where it is made (OP_CLOSURE), which is the order of the source. What is not understood is not
 * reported: a check of names is a help, not a fence; the fence is the sandbox.
 *
 * What an instruction indexes is known in three cases: an upvalue (GETTABUP, SETTABUP); a register
 * that a local variable owns; a register that was just loaded from an upvalue. For the last, and
 * for keys in registers (a function with more than 256 constants), `origin` follows registers along
 * straight code and forgets them where a jump may come in. "_ENV" is reported only where it is the
 * chunk's: a script's own variable of that name is an ordinary table. */
#include "runtime/check.h"
#include "runtime/dump.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REGISTERS = 256,   /* operands are 8 bits */
    NAME_LEN_MAX = 63, /* longer names and keys are not looked at */
    LINE_IS_ABSOLUTE = -128,
    JUMP_OFFSET = (1 << 24) - 1
};

/* Opcodes of Lua 5.4 (lopcodes.h) that matter here. */
enum {
    OP_MOVE = 0,
    OP_LOADK = 3,
    OP_LFALSESKIP = 6,
    OP_LOADNIL = 8,
    OP_GETUPVAL = 9,
    OP_SETUPVAL = 10,
    OP_GETTABUP = 11,
    OP_GETTABLE = 12,
    OP_GETFIELD = 14,
    OP_SETTABUP = 15,
    OP_SETTABLE = 16,
    OP_SETFIELD = 18,
    OP_SELF = 20,
    OP_MMBIN = 46,
    OP_MMBINK = 48,
    OP_CONCAT = 53,
    OP_CLOSE = 54,
    OP_TBC = 55,
    OP_JMP = 56,
    OP_EQ = 57,
    OP_TEST = 66,
    OP_TESTSET = 67,
    OP_CALL = 68,
    OP_FORLOOP = 73,
    OP_FORPREP = 74,
    OP_TFORPREP = 75,
    OP_TFORLOOP = 77,
    OP_SETLIST = 78,
    OP_CLOSURE = 79,
    OP_VARARG = 80
};

static const struct text none = {NULL, 0};

struct check {
    struct dump dump;
    check_name name;
    void *context;
    const char *file;
    char *message;
    size_t cap;
    uint64_t line; /* of the first problem; 0: none */
};

struct origin {
    enum { ORIGIN_UNKNOWN, ORIGIN_UPVALUE, ORIGIN_CONSTANT } kind;
    unsigned index;
};

struct walk {
    struct check *check;
    const struct proto *proto;
    struct cursor locals, absolutes;
    struct local {
        struct text name;
        size_t start, end;
    } next, active[REGISTERS]; /* active: register by register */
    size_t locals_left;
    unsigned active_count;
    size_t pc;
    uint64_t line;
    struct origin origin[REGISTERS];
    uint8_t targets[]; /* whether a jump may come to the instruction */
};

static unsigned operand(uint32_t instruction, unsigned shift)
{
    return instruction >> shift & 0xff;
}

#define A(i) operand(i, 7)
#define B(i) operand(i, 16)
#define C(i) operand(i, 24)
#define BX(i) ((size_t)((i) >> 15))

static uint32_t instruction_at(const struct proto *p, size_t pc)
{
    uint32_t instruction;

    memcpy(&instruction, p->code + pc * sizeof instruction, sizeof instruction);
    return instruction;
}

static void mark(struct walk *w, size_t target)
{
    if (target < w->proto->code_count) w->targets[target] = 1;
}

static void mark_targets(struct walk *w)
{
    for (size_t pc = 0; pc < w->proto->code_count; pc++) {
        uint32_t i = instruction_at(w->proto, pc);
        unsigned op = i & 0x7f;

        /* Numbers wrap below 0: mark ignores what is outside. */
        if (op == OP_JMP) mark(w, pc + 1 + (size_t)(i >> 7) - JUMP_OFFSET);
        if (op == OP_LFALSESKIP || (op >= OP_EQ && op <= OP_TESTSET)) mark(w, pc + 2);
        if (op == OP_FORLOOP || op == OP_TFORLOOP) mark(w, pc + 1 - BX(i));
        if (op == OP_FORPREP) mark(w, pc + 2 + BX(i));
        if (op == OP_TFORPREP) mark(w, pc + 1 + BX(i));
    }
}

static void next_local(struct walk *w)
{
    w->next.name.at = NULL;
    if (w->locals_left == 0) return;
    w->locals_left--;
    w->next.name = dump_read_text(&w->locals);
    w->next.start = dump_read_size(&w->locals);
    w->next.end = dump_read_size(&w->locals);
}

/* Bring the line and the variables to the instruction at pc. Variables are listed in the order of
 * their declaration, and those in scope own the registers from 0 on in that order. */
static void enter_instruction(struct walk *w)
{
    int8_t delta = (int8_t)w->proto->deltas[w->pc];

    if (delta == LINE_IS_ABSOLUTE) {
        dump_read_size(&w->absolutes);
        w->line = dump_read_size(&w->absolutes);
    } else {
        w->line += (uint64_t)(int64_t)delta;
    }
    while (w->active_count > 0 && w->active[w->active_count - 1].end <= w->pc) w->active_count--;
    while (w->next.name.at != NULL && w->next.start <= w->pc) {
        if (w->next.end > w->pc && w->active_count < REGISTERS) {
            w->active[w->active_count++] = w->next;
        }
        next_local(w);
    }
    if (w->targets[w->pc]) memset(w->origin, 0, sizeof w->origin);
}

static bool copy_name(struct text text, char out[NAME_LEN_MAX + 1])
{
    if (text.at == NULL || text.len > NAME_LEN_MAX) return false;
    if (memchr(text.at, '\0', text.len) != NULL) return false;
    memcpy(out, text.at, text.len);
    out[text.len] = '\0';
    return true;
}

static void ask(struct walk *w, struct text table, struct text key, bool is_write)
{
    struct check *check = w->check;
    char table_name[NAME_LEN_MAX + 1], key_name[NAME_LEN_MAX + 1];
    const char *problem;

    if (!copy_name(table, table_name) || !copy_name(key, key_name)) return;
    problem = check->name(check->context, table_name, key_name, is_write);
    if (problem == NULL || (check->line != 0 && check->line <= w->line)) return;
    check->line = w->line;
    for (char *c = key_name; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
    }
    snprintf(check->message, check->cap, "%s:%llu: '%s': %s", check->file,
             (unsigned long long)w->line, key_name, problem);
}

static struct text upvalue_name(const struct walk *w, unsigned index)
{
    const struct upvalue *upvalue;

    if (index >= w->proto->upvalues_count) return none;
    upvalue = &w->check->dump.upvalues[w->proto->upvalues + index];
    if (upvalue->name.len == 4 && memcmp(upvalue->name.at, "_ENV", 4) == 0 && !upvalue->chunk) {
        return none;
    }
    return upvalue->name;
}

static struct text constant(const struct walk *w, unsigned index)
{
    return index < w->proto->constants_count ? w->check->dump.constants[w->proto->constants + index]
                                             : none;
}

/* What the register is called, if it holds an object with a name. */
static struct text register_name(const struct walk *w, unsigned index)
{
    const struct text *name;

    if (index >= w->active_count) {
        return w->origin[index].kind == ORIGIN_UPVALUE ? upvalue_name(w, w->origin[index].index)
                                                       : none;
    }
    name = &w->active[index].name;
    return name->len == 4 && memcmp(name->at, "_ENV", 4) == 0 ? none : *name;
}

/* The constant that was loaded into the register. */
static struct text register_constant(const struct walk *w, unsigned index)
{
    if (index < w->active_count || w->origin[index].kind != ORIGIN_CONSTANT) return none;
    return constant(w, w->origin[index].index);
}

static void look(struct walk *w, uint32_t i)
{
    switch (i & 0x7f) {
    case OP_GETTABUP: ask(w, upvalue_name(w, B(i)), constant(w, C(i)), false); break;
    case OP_SETTABUP: ask(w, upvalue_name(w, A(i)), constant(w, B(i)), true); break;
    case OP_GETFIELD: ask(w, register_name(w, B(i)), constant(w, C(i)), false); break;
    case OP_SETFIELD: ask(w, register_name(w, A(i)), constant(w, B(i)), true); break;
    case OP_GETTABLE: ask(w, register_name(w, B(i)), register_constant(w, C(i)), false); break;
    case OP_SETTABLE: ask(w, register_name(w, A(i)), register_constant(w, B(i)), true); break;
    case OP_SELF: {
        bool is_constant = (i >> 15 & 1) != 0;

        ask(w, register_name(w, B(i)), is_constant ? constant(w, C(i)) : register_constant(w, C(i)),
            false);
        break;
    }
    default: break;
    }
}

/* How many registers from A on the instruction may write. */
static unsigned registers_written(uint32_t i)
{
    unsigned op = i & 0x7f;

    switch (op) {
    case OP_SETUPVAL:
    case OP_CLOSE:
    case OP_TBC:
    case OP_JMP: return 0;
    case OP_SELF: return 2;
    case OP_LOADNIL:
    case OP_CONCAT:
    case OP_VARARG: return REGISTERS;
    default: break;
    }
    if (op >= OP_SETTABUP && op <= OP_SETFIELD) return 0;
    if ((op >= OP_MMBIN && op <= OP_MMBINK) || (op >= OP_EQ && op <= OP_TEST)) return 0;
    return op >= OP_CALL && op <= OP_SETLIST ? REGISTERS : 1;
}

static void follow(struct walk *w, uint32_t i)
{
    static const struct origin unknown = {ORIGIN_UNKNOWN, 0};
    unsigned first = A(i), count = registers_written(i);
    struct origin origin = unknown;

    switch (i & 0x7f) {
    case OP_GETUPVAL:
        origin.kind = ORIGIN_UPVALUE;
        origin.index = B(i);
        break;
    case OP_LOADK:
        origin.kind = ORIGIN_CONSTANT;
        origin.index = (unsigned)BX(i);
        break;
    case OP_MOVE:
        if (B(i) >= w->active_count) origin = w->origin[B(i)];
        break;
    default: break;
    }
    for (unsigned r = first; r < REGISTERS && r - first < count; r++) w->origin[r] = unknown;
    if (count == 1) w->origin[first] = origin;
}

static void walk(struct check *check, size_t number);

static void walk_child(struct walk *w, size_t number)
{
    const struct proto *child = &w->check->dump.protos[number];

    for (size_t i = 0; i < child->upvalues_count; i++) {
        struct upvalue *upvalue = &w->check->dump.upvalues[child->upvalues + i];

        upvalue->chunk = !upvalue->local && upvalue->index < w->proto->upvalues_count &&
                         w->check->dump.upvalues[w->proto->upvalues + upvalue->index].chunk;
    }
    walk(w->check, number);
}

static void walk(struct check *check, size_t number)
{
    const struct proto *p = &check->dump.protos[number];
    struct walk *w = calloc(1, sizeof *w + p->code_count);
    size_t child = p->first_child;

    if (w == NULL) return;
    w->check = check;
    w->proto = p;
    w->locals = p->locals;
    w->locals_left = p->locals_count;
    w->absolutes = p->absolutes;
    w->line = p->line;
    mark_targets(w);
    next_local(w);
    for (w->pc = 0; w->pc < p->code_count; w->pc++) {
        uint32_t i = instruction_at(p, w->pc);

        enter_instruction(w);
        look(w, i);
        follow(w, i);
        /* Functions are numbered in the order in which they are made. */
        if ((i & 0x7f) == OP_CLOSURE && child != 0) {
            walk_child(w, child);
            child = check->dump.protos[child].sibling;
        }
    }
    free(w);
}

bool check_function(lua_State *L, check_name name, void *context, char *message, size_t cap)
{
    struct check check = {.name = name, .context = context, .message = message, .cap = cap};
    lua_Debug about;

    lua_pushvalue(L, -1);
    lua_getinfo(L, ">S", &about);
    check.file = about.short_src;
    if (dump_open(&check.dump, L)) {
        for (size_t i = 0; i < check.dump.protos[0].upvalues_count; i++) {
            check.dump.upvalues[i].chunk = true;
        }
        walk(&check, 0);
    }
    dump_free(&check.dump);
    return check.line == 0;
}
