-- SPDX-License-Identifier: MIT
-- The scripting API, once. From this table come docs/lua.md, the types for editors, and the list of names that the
-- sandbox lets through; a test compares it with what the VM exports.
--
-- name: as a script writes it. where: "top" (while the file loads), "handler" (start, message handlers, timers),
-- "any". yields: the call waits, and other handlers run meanwhile. Failure is nil, a sentence, a name; only misuse
-- raises. Times are microseconds (ms, sec, min, hour are numbers to multiply with), sizes are bytes (KB, MB, GB).
return {
    { group = "Declaring", text = "A script declares one protocol or one game: what it says and chooses, with the "
        .. "size of each. A missing limit is an error when the file loads." },
    { name = "protocol", where = "top", args = 'name, {...}', returns = "P",
      text = 'Declares what is spoken: `local P = protocol "echo/1" { serve = 32, echo = request {...} }`. '
        .. "serve: handlers at once; per_peer: of them for one peer (a quarter). Handlers are its methods: "
        .. "`function P:echo(from, body)`." },
    { name = "game", where = "top", args = 'name, {...}', returns = "G",
      text = "As protocol, for what chooses peers (both may have views); `G:up(peer, how)` and `G:down(peer, why)` tell of links, "
        .. "`G:crowded(view, peer)` of a newcomer for whom there is no room. half_life: of scores (10*min)." },
    { name = "message", where = "top", args = "{ bytes, full [, urgency] }", returns = "entry",
      text = 'One way. bytes: the longest; full: "drop-new", "drop-old" or "block", when it comes or goes faster than '
        .. "it can." },
    { name = "request", where = "top",
      args = "{ bytes, answer, within [, idle, total, urgency] }", returns = "entry",
      text = "One answer: what the handler returns; nil or nothing arrives as nil, and `return refuse(why)` says why. "
        .. "bytes, answer: the longest; within: the deadline; idle: give up a peer that sends nothing for "
        .. "so long (10*sec). With total, the answer is written in pieces of at most `answer` bytes: "
        .. "`function P:get(from, body, out) out:write(bytes) end`." },
    { name = "range", where = "top", args = "{ part, within [, bytes, idle] }", returns = "entry",
      text = "Part of something large: `function P:part(from, what, offset, length, out)` returns those bytes, or writes "
        .. "them to out. Asked by fetch." },
    { name = "stream", where = "top", args = "{ idle [, within, urgency, datagram] }", returns = "entry",
      text = "Bytes both ways: `function P:pipe(from, s)`. idle: the longest silence; datagram: longest unreliable "
        .. "datagram on it." },
    { name = "feed", where = "top", args = "{ kind, keys, bytes [, subscribers, urgency] }", returns = "entry",
      text = 'Events to who follows. kind: "state" (the newest value of a key), "sum", "drop-oldest" (the last `keys` '
        .. "events). self.NAME:set(key, value), :add(key, n), :push(value)." },
    { name = "view", where = "top", args = "{ cap [, linked, per_source] }", returns = "entry",
      text = "A bounded set of peers. linked: in is connected, out is dropped, and both ends are told. per_source: how "
        .. "many one peer may supply (a quarter of cap)." },
    { name = "map", where = "top", args = "{ cap }", returns = "entry",
      text = "A bounded table by peer; the entry that was set longest ago goes for a new one: self.NAME:get(peer), "
        .. ":set(peer, value)." },
    { name = "store", where = "top", args = "{ bytes }", returns = "entry",
      text = "Values by name, kept on the disk when files are granted: self.NAME:get(key), :set(key, value), :keys()." },
    { name = "fields", where = "top", args = "{ name = first value }", returns = "",
      text = "In a declaration: what `self` has, with the value that it begins with (a number, string, boolean or {}). "
        .. "Reading or writing another name raises." },
    { name = "every", where = "top", args = "interval, function(self) [, { steady = reason }]", returns = "",
      text = "`P:every(10*sec, f)`: first after a random part of the interval, then each between half and one and a half "
        .. "of it after the last was due. steady: no jitter, for the reason given. In a handler: self:every." },
    { name = "use", where = "top", args = 'name', returns = "module",
      text = "Another script: its entries to talk to, its methods to call; a game over a game. Found beside this file, in "
        .. "the module folders, and among those that come with weir." },
    { name = "KB", where = "any", value = true, text = "1024." },
    { name = "MB", where = "any", value = true, text = "1024 KB." },
    { name = "GB", where = "any", value = true, text = "1024 MB." },
    { name = "ms", where = "any", value = true, text = "1000 microseconds." },
    { name = "sec", where = "any", value = true, text = "1000 ms." },
    { name = "min", where = "any", value = true, text = "60 sec." },
    { name = "hour", where = "any", value = true, text = "60 min." },

    { group = "Talking", text = "In handlers. A peer that is not connected is dialled first." },
    { name = "tell", where = "handler", args = "peer, P.message, value", returns = "true | false, sentence, name",
      text = 'Sends a message, whole or not at all. With full = "block" it waits for room.', yields = true },
    { name = "ask", where = "handler", args = "peer, P.request, value [, within]",
      returns = "answer | nil, sentence, name", yields = true,
      text = 'Asks and waits. Names: "busy" (a fourth value says how long to wait), "refused", "timeout", "unreachable", '
        .. '"closed", "failed", "limit", "format".' },
    { name = "call", where = "handler", args = "peer, P.request, value [, within]",
      returns = "response | nil, sentence, name", yields = true,
      text = "Asks for an answer that comes in pieces: response:chunks() for a loop, response:read(), response:ended()." },
    { name = "refuse", where = "handler", args = "text [, retry]", returns = "refusal",
      text = "`return refuse \"absent\"` from a request's handler: the asker gets nil, the text, \"refused\"." },
    { name = "open", where = "handler", args = "peer, P.stream [, urgency]", returns = "stream | nil, sentence, name",
      yields = true, text = "A stream of bytes to a peer." },
    { name = "follow", where = "handler", args = "peer, P.feed", returns = "iterator | nil, sentence, name",
      yields = true,
      text = "`for key, value, missed in follow(peer, P.prices) do`. value nil: the key is gone. missed: how many values "
        .. "were merged into this one or dropped before it." },
    { name = "fetch", where = "handler",
      args = "{ from, range, what, size [, part, hashes, have, into, progress] }",
      returns = "true | nil, sentence, name", yields = true,
      text = "Fetches `size` bytes in parts from several peers at once. from: a list or view of peers; range: P.NAME; "
        .. "what: told with each request; into: a function(offset, bytes), or a path in the granted folder; hashes: the "
        .. "BLAKE2b-256 of each part, joined; have: a list of part numbers (from 1) that are here, without which a file is emptied first; progress: true, or a "
        .. "function(done, size)." },
    { name = "connect", where = "handler", args = "address", returns = "peer | nil, sentence, name", yields = true,
      text = 'Dials "host:port", an invitation or a multiaddr.' },
    { name = "drop", where = "handler", args = "peer [, text]", returns = "", text = "Closes the connection." },
    { name = "me", where = "handler", args = "", returns = "peer", text = "This node." },
    { name = "tries", where = "handler", args = "{ from, most [, rank] }", returns = "iterator", yields = true,
      text = "`for peer in tries { from = self.known, most = 4, rank = \"rtt\" } do`: one after another, paced with full "
        .. 'jitter, from one budget of retries. rank: "random", "rtt", "score", "oldest".' },
    { name = "after", where = "handler", args = "time, function(self)", returns = "timer",
      text = "Once, give or take a tenth. timer:cancel()." },
    { name = "now", where = "handler", args = "", returns = "microseconds", text = "The node's clock: only differences mean something, and only here." },
    { name = "quit", where = "handler", args = "[code]", returns = "", text = "Ends the program." },
    { name = "args", where = "handler", value = true, text = "What stands behind `--`, a read-only array of strings." },
    { name = "print", where = "any", args = "...", returns = "", text = "A line of output." },
    { name = "log", where = "any", value = true, text = "log.error, log.warn, log.info, log.debug (text)." },
    { name = "hash", where = "any", args = "bytes", returns = "32 bytes", text = "BLAKE2b-256." },
    { name = "hasher", where = "any", args = "", returns = "hasher", text = "hasher:add(bytes), hasher:done()." },
    { name = "hex", where = "any", args = "bytes", returns = "text", text = "In hexadecimal." },
    { name = "encode", where = "any", args = "value [, bytes]", returns = "bytes | nil, sentence",
      text = "Deterministic CBOR." },
    { name = "decode", where = "any", args = "bytes", returns = "value | nil, sentence", text = "The way back." },

    { group = "This machine", text = "Only what the command line grants: --allow fs=DIR, exec, env." },
    { name = "file", where = "handler", args = 'path, "read" | "write" | "append" | "new" [, offset]',
      returns = "stream | nil, sentence, name", yields = true, text = "A file as a stream; path is inside the folder that was "
        .. "granted. stream.size when reading." },
    { name = "child", where = "handler", args = "{ program, argument ... }", returns = "stream | nil, sentence, name",
      yields = true, text = "A process: its input and output as a stream; stream:wait() gives its exit code." },
    { name = "unix", where = "handler", args = "path", returns = "stream | nil, sentence, name", yields = true,
      text = "A Unix socket." },
    { name = "input", where = "handler", args = "", returns = "stream", text = "Standard input." },
    { name = "env", where = "any", args = "name", returns = "text | nil", text = "An environment variable." },

    { object = "peer", text = "Somebody's key: equal peers are the same value.", methods = {
        { name = "id", args = "", returns = "text", text = "The peer id." },
        { name = "short", args = "", returns = "text", text = "Its last eight characters, for people." },
        { name = "is_up", args = "", returns = "boolean", text = "Connected." },
        { name = "rtt", args = "", returns = "microseconds | nil", text = "Smoothed round trip." },
        { name = "credit", args = "[n]", returns = "", text = "It did well." },
        { name = "blame", args = "why", returns = "",
          text = 'It did not: "busy" costs 0, "timeout" 1, "corrupt" 100, anything else 1.' },
        { name = "score", args = "", returns = "number", text = "What is left of credit and blame." },
        { name = "protect", args = "name", returns = "boolean", text = "Never evicted while any name protects it; a "
            .. "quarter of a view per name." },
        { name = "release", args = "name", returns = "", text = "No longer." },
    } },
    { object = "view", text = "A bounded set of peers.", methods = {
        { name = "add", args = 'peer [, "random" | "oldest" | "worst"]',
          returns = "peer | true | false, sentence | nil, sentence, name", yields = true,
          text = "In; when full, one that is not protected steps down and is returned. Without a rule: false. Into a linked "
            .. "view a peer is dialled first; nil when that fails." },
        { name = "offer", args = "peer [, via]", returns = "boolean",
          text = "Heard of: in if there is room or a heard one can go, within the quota of `via`." },
        { name = "remove", args = "peer", returns = "boolean", text = "Out; a link is dropped." },
        { name = "has", args = "peer", returns = "boolean", text = "" },
        { name = "room", args = "", returns = "boolean", text = "" },
        { name = "pick", args = "[{ but }]", returns = "peer | nil", text = "One at random." },
        { name = "sample", args = "n [, list]", returns = "list", text = "Up to n at random, joined to the list." },
        { name = "oldest", args = "", returns = "peer | nil", text = "Longest in." },
        { name = "best", args = '"rtt" | "score"', returns = "peer | nil", text = "" },
        { name = "each", args = "", returns = "iterator", text = "In the order of their coming." },
        { name = "but", args = "peer", returns = "iterator", text = "All but one." },
        { name = "age", args = "peer", returns = "microseconds | nil", text = "Since when it is in." },
        { name = "refill", args = "view, function(peer)", returns = "",
          text = "While there is room, takes candidates from the other view one at a time, paced; the function says whether "
            .. "one came in. One worker per view." },
    } },
    { object = "stream", text = "Two lanes of bytes; a file has one.", methods = {
        { name = "read", args = "n", returns = "bytes | nil, sentence, name", yields = true,
          text = 'At least 1 and at most n bytes; nil, "...", "end" at the end.' },
        { name = "read_exactly", args = "n", returns = "bytes | nil, sentence, name", yields = true, text = "All n." },
        { name = "read_line", args = "[max]", returns = "text | nil, sentence, name", yields = true,
          text = "Without its end; at most max (4 KB) bytes." },
        { name = "lines", args = "[max]", returns = "iterator", yields = true, text = "read_line in a loop." },
        { name = "chunks", args = "[n]", returns = "iterator", yields = true, text = "read in a loop." },
        { name = "write", args = "bytes", returns = "true | nil, sentence, name", yields = true,
          text = "Waits while the reader's window is shut." },
        { name = "flush", args = "", returns = "", text = "Lets go at once." },
        { name = "finish", args = "", returns = "", text = "The end of this side's lane." },
        { name = "reset", args = "[why]", returns = "", text = "Gives both lanes up; without a number the other side reads \"cancelled\"." },
        { name = "urgency", args = "n", returns = "", text = "0 (first) to 7." },
        { name = "send", args = "bytes", returns = "true | false, sentence, name", text = "An unreliable datagram." },
        { name = "receive", args = "", returns = "bytes | nil, sentence, name", yields = true, text = "The next one." },
        { name = "copy", args = "other", returns = "bytes | nil, sentence, name", yields = true,
          text = "Everything that is still to be read goes into the other stream, with its back-pressure, without passing "
            .. "through Lua." },
        { name = "wait", args = "", returns = "code | nil, sentence, name", yields = true,
          text = "Until it is over: a child's exit code, 0 for others." },
        { name = "size", value = true, text = "Of a file that is read." },
        { name = "peer", value = true, text = "Whose it is; nil for local ones." },
    } },
    { object = "response", text = "An answer in pieces.", methods = {
        { name = "read", args = "[n]", returns = "bytes | nil, sentence, name", yields = true, text = "" },
        { name = "chunks", args = "[n]", returns = "iterator", yields = true, text = "" },
        { name = "ended", args = "", returns = "boolean", text = "It came whole." },
        { name = "cancel", args = "", returns = "", text = "No more of it." },
    } },
    { object = "out", text = "Where an answer in pieces is written.", methods = {
        { name = "write", args = "bytes", returns = "true | nil, sentence, name", yields = true,
          text = "Waits while the asker's window is shut." },
        { name = "copy", args = "stream [, n]", returns = "bytes | nil, sentence, name", yields = true,
          text = "Up to n bytes of a stream, without passing through Lua." },
    } },
    { object = "feed", text = "What self.NAME is for a feed.", methods = {
        { name = "set", args = "key, value", returns = "followers | nil, sentence, name",
          text = "state; value nil removes the key." },
        { name = "add", args = "key, n", returns = "followers | nil, sentence, name", text = "sum." },
        { name = "push", args = "value", returns = "followers | nil, sentence, name", text = "drop-oldest." },
        { name = "followers", args = "", returns = "number", text = "" },
        { name = "missed", args = "", returns = "number", text = "Values merged or dropped for slow followers." },
    } },
    { object = "map", text = "What self.NAME is for a map.", methods = {
        { name = "get", args = "peer", returns = "value | nil", text = "" },
        { name = "set", args = "peer, value", returns = "", text = "" },
        { name = "each", args = "", returns = "iterator", text = "peer, value; oldest first." },
    } },
    { object = "store", text = "What self.NAME is for a store.", methods = {
        { name = "get", args = "key", returns = "value | nil", text = "" },
        { name = "set", args = "key, value", returns = "true | nil, sentence, name", text = "nil removes it." },
        { name = "keys", args = "", returns = "list", text = "Sorted." },
    } },
    { object = "timer", text = "What after and self:every give.", methods = {
        { name = "cancel", args = "", returns = "", text = "" },
    } },
    { object = "hasher", text = "A running BLAKE2b-256.", methods = {
        { name = "add", args = "bytes", returns = "hasher", text = "" },
        { name = "done", args = "", returns = "32 bytes", text = "" },
    } },

    { methods_of_script = true, text = "Methods that the runtime calls when they are defined.", methods = {
        { name = "start", args = "...", text = "The script begins on this node; the arguments behind `--`." },
        { name = "stop", args = "", text = "The node drains." },
        { name = "up", args = "peer, how", text = 'A link began: "out" ours, "in" the peer\'s.' },
        { name = "down", args = "peer, why", text = 'A link ended: "dropped" by the peer, "dead", "closed".' },
        { name = "crowded", args = "view, peer", text = "A peer linked to us and the view is full: make room and add it, or "
            .. "it is dropped." },
    } },

    { lua = { "assert", "error", "getmetatable", "ipairs", "load", "next", "pairs", "pcall", "rawequal", "rawget", "rawlen",
        "rawset", "select", "setmetatable", "tonumber", "tostring", "type", "xpcall", "_VERSION", "coroutine", "math",
        "string", "table", "utf8" },
      text = "Of Lua 5.4. pairs and next go through the array part, then the other keys sorted by type and value; peers and "
        .. "tables are no keys. A metatable's __call is a function and is read when setmetatable is called; __gc and "
        .. "__mode are refused. There is no os, io, debug, package, require, collectgarbage." },
}
