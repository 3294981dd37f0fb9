-- SPDX-License-Identifier: MIT
-- The commands of `weir`, once: from this table come --help, the man page, the completions for
-- shells, and what the parser takes.
--
-- kind of an option's value: text, file, folder, address, count, bytes (64M), time (2min, 500ms),
-- share (0.05 or 5%). An option without value is yes or no. many: it may be given again.
local key = { name = "key", value = "FILE", kind = "file",
    text = "The node's key, made if absent." }
local listen = { name = "listen", value = "ADDRESS", kind = "address", many = true,
    text = "Listen there; port 0 is any free one." }
local json = { name = "json", text = "The result as JSON." }
local memory = { name = "memory", value = "BYTES", kind = "bytes",
    text = "Budget of the node's buffers (256M)." }
local modules = { name = "modules", value = "FOLDER", kind = "folder", many = true,
    text = "Where `use` looks beside the script's own folder." }

return {
    summary = "peers that talk, in Lua",
    text = "weir runs protocols and games written in Lua: for real, at a prompt, or in a simulated "
        .. "world. A first protocol in ten minutes: docs/guide/first-protocol.md.",
    exit = {
        { 0, "Done." },
        { 1, "It failed; the sentence on standard error says why." },
        { 2, "The command line is wrong." },
        { 3, "The peer could not be reached." },
    },
    environment = {
        { "XDG_CONFIG_HOME", "The default key is weir/key in this folder, or in ~/.config." },
        { "NO_COLOR", "Set and not empty: no colours, also on a terminal." },
    },
    {
        name = "id", summary = "make or show a key",
        text = "Prints the peer id of a key file, which is made if it is not there; nobody but you "
            .. "can read it. The default is weir/key in $XDG_CONFIG_HOME or in ~/.config.",
        options = {
            { name = "key", value = "FILE", kind = "file", text = "Another key file." },
            { name = "new", text = "Make the key; a file that is there already is an error." },
            { name = "listen", value = "HOST:PORT", kind = "address",
                text = "Print an invitation to this address too." },
            json,
        },
    },
    {
        name = "run", summary = "run a script on a node of the real world",
        arguments = { { "SCRIPT", "file" } }, rest = "ARGUMENT",
        text = "Each --listen prints one line, `listening weir:PEERID@HOST:PORT`. What the script "
            .. "prints goes to standard output, its log to standard error. When the file changes "
            .. "it is loaded anew, and connections stay. The first SIGINT or SIGTERM lets open "
            .. "work finish, up to 5 s, then the script's `stop` runs; the second ends at once. A "
            .. "script that serves nothing and waits for nothing is done. The node has a new key "
            .. "for this run, unless one is named.",
        options = {
            listen,
            { name = "dial", value = "ADDRESS", kind = "address", many = true,
                text = "Connect to this peer at the beginning." },
            key,
            { name = "identity", text = "Use the default key, as `weir id` shows it." },
            { name = "allow", value = "WHAT", kind = "text", many = true,
                text = "fs=FOLDER, exec, env, unix or input: what the script may do beside "
                    .. "talking to peers. Commas join." },
            memory, modules,
            { name = "quiet", text = "Nothing but what the script prints, and errors." },
            { name = "verbose", text = "Debug lines of the log too." },
        },
    },
    {
        name = "sim", summary = "run a script in a simulated world",
        arguments = { { "SCRIPT", "file" } }, rest = "ARGUMENT",
        text = "Nodes join one after another. The first begins without arguments; each later one "
            .. "is given the address of a node that is there already, and then what stands behind "
            .. "--. Equal seeds give equal trace hashes. Exit code 1 when a handler failed.",
        options = {
            { name = "nodes", value = "N", kind = "count", text = "How many (10)." },
            { name = "seed", value = "N", kind = "number", text = "Everything random (1)." },
            { name = "time", value = "TIME", kind = "time", text = "Virtual time to run (60s)." },
            { name = "latency", value = "TIME", kind = "time", text = "One way (20ms)." },
            { name = "loss", value = "SHARE", kind = "share", text = "0.05 or 5% (0)." },
            { name = "packets",
                text = "Simulate the UDP transport, every packet; else whole messages." },
            { name = "join", value = "RATE", kind = "count",
                text = "Nodes per second (10, or more: all are there after a third of the time)." },
            { name = "lines", value = "N", kind = "number", text = "Printed lines to show (20)." },
            { name = "args-first",
                text = "What stands behind -- comes before the address, for the first node too." },
            modules, json,
        },
    },
    {
        name = "ping", summary = "see whether a peer can be reached, and how fast",
        arguments = { { "ADDRESS", "address" } },
        text = "Prints how long the handshake took, then round trips of a small question that "
            .. "every node answers, and the smallest, the median and the largest. When nobody "
            .. "answers, what each attempt met.",
        options = {
            { name = "count", short = "n", value = "N", kind = "count", text = "Round trips (5)." },
            { name = "timeout", value = "TIME", kind = "time",
                text = "For the connection and for each round trip (10s)." },
            json,
        },
    },
    {
        name = "limits", summary = "every limit in force and where it comes from",
        text = "A node of these options: each limit, its value, what is used of it, whether it is "
            .. "fixed or derived from memory and peers, and why it exists.",
        options = {
            memory,
            { name = "peers", value = "N", kind = "count", text = "Connected peers at most." },
            json,
        },
    },
    {
        name = "repl", summary = "a live node at a prompt",
        text = "Each line is Lua, run as a handler; the words of docs/lua.md are there, those that "
            .. "declare excepted. Names that are set without `local` stay; `it` is the last "
            .. "result. quit() or the end of the input ends it; Ctrl-C stops waiting for a line.",
        options = {
            listen, key,
            { name = "use", value = "NAME", kind = "text", many = true,
                text = "A script to talk with: its name becomes a word." },
            modules,
        },
    },
    {
        name = "new", summary = "write a starter script and its test",
        arguments = { { "NAME", "text" } },
        text = "Writes NAME.lua and NAME_test.lua here. Files that are there already stay.",
        options = {},
    },
    {
        name = "reference", summary = "print the scripting API",
        text = "Every word that a script has, on one page, as docs/lua.md has it.",
        options = {
            { name = "types", text = "As types for editors with a Lua language server." },
        },
    },
    {
        name = "test", summary = "run the tests of scripts in simulated worlds",
        arguments = { { "FILE", "file", many = true } },
        text = "A test file is Lua with these words. test(name, function) is one test. "
            .. "world { nodes, seed, latency, loss, packets } makes a world: w:address(i); "
            .. "w:run(i, script, argument ...) starts a script on node i, w:run_all(script, "
            .. "argument ...) on all, 100 ms apart, each with the address of an earlier one and "
            .. "then the arguments; w:run_for(time); w:lines(i) is what node i printed, w:log(i) "
            .. "what it logged; w:kill(i): it is silent from now on (where whole messages are "
            .. "simulated, its connections end, as nobody there listens for silence); w:link(a, "
            .. "b, { latency, jitter, loss, bandwidth, dark }): two nodes unlike the others "
            .. "(bandwidth in bits per second; dark: a time for which nothing passes); "
            .. "w:file(i, path, bytes) gives it a file in memory; w:now(); w:view(i, view): the "
            .. "nodes that are in it; w:reachable(view): how many nodes the "
            .. "largest part has that hangs together by this view. check(condition, text) and "
            .. "equal(got, wanted, text) end a test that fails, print shows a line. Scripts are "
            .. "found beside the test file. Each test runs with several seeds, unless its worlds "
            .. "name theirs, and the first one twice: the trace hashes must be equal.",
        options = {
            { name = "seeds", value = "N", kind = "count", text = "How many seeds (3)." },
            { name = "only", value = "TEXT", kind = "text",
                text = "Only tests whose name has this in it." },
            modules,
        },
    },
}
