---@meta
-- Written by `weir reference --types` from lua/api.lua: for editors with a Lua language server.

--- Declares what is spoken: `local P = protocol "echo/1" { serve = 32, echo = request {...} }`. serve: handlers at once; per_peer: of them for one peer (a quarter). Handlers are its methods: `function P:echo(from, body)`.
function protocol(name, value) end

--- As protocol, for what chooses peers (both may have views); `G:up(peer, how)` and `G:down(peer, why)` tell of links, `G:crowded(view, peer)` of a newcomer for whom there is no room. half_life: of scores (10*min).
function game(name, value) end

--- One way. bytes: the longest; full: "drop-new", "drop-old" or "block", when it comes or goes faster than it can.
function message(options) end

--- One answer: what the handler returns; nil or nothing arrives as nil, and `return refuse(why)` says why. bytes, answer: the longest; within: the deadline; idle: give up a peer that sends nothing for so long (10*sec). With total, the answer is written in pieces of at most `answer` bytes: `function P:get(from, body, out) out:write(bytes) end`.
function request(options) end

--- Part of something large: `function P:part(from, what, offset, length, out)` returns those bytes, or writes them to out. Asked by fetch.
function range(options) end

--- Bytes both ways: `function P:pipe(from, s)`. idle: the longest silence; datagram: longest unreliable datagram on it.
function stream(options) end

--- Events to who follows. kind: "state" (the newest value of a key), "sum", "drop-oldest" (the last `keys` events). self.NAME:set(key, value), :add(key, n), :push(value).
function feed(options) end

--- A bounded set of peers. linked: in is connected, out is dropped, and both ends are told. per_source: how many one peer may supply (a quarter of cap).
function view(options) end

--- A bounded table by peer; the entry that was set longest ago goes for a new one: self.NAME:get(peer), :set(peer, value).
function map(options) end

--- Values by name, kept on the disk when files are granted: self.NAME:get(key), :set(key, value), :keys().
function store(options) end

--- `P:every(10*sec, f)`: first after a random part of the interval, then each between half and one and a half of it after the last was due. steady: no jitter, for the reason given. In a handler: self:every.
function every(interval, handler, steady) end

--- Another script: its entries to talk to, its methods to call; a game over a game. Found beside this file, in the module folders, and among those that come with weir.
function use(name) end

--- 1024.
KB = nil

--- 1024 KB.
MB = nil

--- 1024 MB.
GB = nil

--- 1000 microseconds.
ms = nil

--- 1000 ms.
sec = nil

--- 60 sec.
min = nil

--- 60 min.
hour = nil

--- Sends a message, whole or not at all. With full = "block" it waits for room.
function tell(peer, message, value) end

--- Asks and waits. Names: "busy" (a fourth value says how long to wait), "refused", "timeout", "unreachable", "closed", "failed", "limit", "format".
function ask(peer, request, value, within) end

--- Asks for an answer that comes in pieces: response:chunks() for a loop, response:read(), response:ended().
function call(peer, request, value, within) end

--- `return refuse "absent"` from a request's handler: the asker gets nil, the text, "refused".
function refuse(text, retry) end

--- A stream of bytes to a peer.
function open(peer, stream, urgency) end

--- `for key, value, missed in follow(peer, P.prices) do`. value nil: the key is gone. missed: how many values were merged into this one or dropped before it.
function follow(peer, feed) end

--- Fetches `size` bytes in parts from several peers at once. from: a list or view of peers; range: P.NAME; what: told with each request; into: a function(offset, bytes), or a path in the granted folder; hashes: the BLAKE2b-256 of each part, joined; have: a list of part numbers (from 1) that are here, without which a file is emptied first; progress: true, or a function(done, size).
function fetch(options) end

--- Dials "host:port", an invitation or a multiaddr.
function connect(address) end

--- Closes the connection.
function drop(peer, text) end

--- This node.
function me() end

--- `for peer in tries { from = self.known, most = 4, rank = "rtt" } do`: one after another, paced with full jitter, from one budget of retries. rank: "random", "rtt", "score", "oldest".
function tries(options) end

--- Once, give or take a tenth. timer:cancel().
function after(time, handler) end

--- The node's clock: only differences mean something, and only here.
function now() end

--- Ends the program.
function quit(code) end

--- What stands behind `--`, a read-only array of strings.
args = nil

--- A line of output.
function print(...) end

--- log.error, log.warn, log.info, log.debug (text).
log = nil

--- BLAKE2b-256.
function hash(bytes) end

--- hasher:add(bytes), hasher:done().
function hasher() end

--- In hexadecimal.
function hex(bytes) end

--- Deterministic CBOR.
function encode(value, bytes) end

--- The way back.
function decode(bytes) end

--- A file as a stream; path is inside the folder that was granted. stream.size when reading.
function file(path, choice, offset) end

--- A process: its input and output as a stream; stream:wait() gives its exit code.
function child(options) end

--- A Unix socket.
function unix(path) end

--- Standard input.
function input() end

--- An environment variable.
function env(name) end

--- Somebody's key: equal peers are the same value.
---@class weir.peer
local peer = {}
--- The peer id.
function peer:id() end
--- Its last eight characters, for people.
function peer:short() end
--- Connected.
function peer:is_up() end
--- Smoothed round trip.
function peer:rtt() end
--- It did well.
function peer:credit(n) end
--- It did not: "busy" costs 0, "timeout" 1, "corrupt" 100, anything else 1.
function peer:blame(why) end
--- What is left of credit and blame.
function peer:score() end
--- Never evicted while any name protects it; a quarter of a view per name.
function peer:protect(name) end
--- No longer.
function peer:release(name) end

--- A bounded set of peers.
---@class weir.view
local view = {}
--- In; when full, one that is not protected steps down and is returned. Without a rule: false. Into a linked view a peer is dialled first; nil when that fails.
function view:add(peer, choice) end
--- Heard of: in if there is room or a heard one can go, within the quota of `via`.
function view:offer(peer, via) end
--- Out; a link is dropped.
function view:remove(peer) end
--- 
function view:has(peer) end
--- 
function view:room() end
--- One at random.
function view:pick(but) end
--- Up to n at random, joined to the list.
function view:sample(n, list) end
--- Longest in.
function view:oldest() end
--- 
function view:best(choice) end
--- In the order of their coming.
function view:each() end
--- All but one.
function view:but(peer) end
--- Since when it is in.
function view:age(peer) end
--- While there is room, takes candidates from the other view one at a time, paced; the function says whether one came in. One worker per view.
function view:refill(view, handler) end

--- Two lanes of bytes; a file has one.
---@class weir.stream
local stream = {}
--- At least 1 and at most n bytes; nil, "...", "end" at the end.
function stream:read(n) end
--- All n.
function stream:read_exactly(n) end
--- Without its end; at most max (4 KB) bytes.
function stream:read_line(max) end
--- read_line in a loop.
function stream:lines(max) end
--- read in a loop.
function stream:chunks(n) end
--- Waits while the reader's window is shut.
function stream:write(bytes) end
--- Lets go at once.
function stream:flush() end
--- The end of this side's lane.
function stream:finish() end
--- Gives both lanes up; without a number the other side reads "cancelled".
function stream:reset(why) end
--- 0 (first) to 7.
function stream:urgency(n) end
--- An unreliable datagram.
function stream:send(bytes) end
--- The next one.
function stream:receive() end
--- Everything that is still to be read goes into the other stream, with its back-pressure, without passing through Lua.
function stream:copy(other) end
--- Until it is over: a child's exit code, 0 for others.
function stream:wait() end
--- Of a file that is read.
stream.size = nil
--- Whose it is; nil for local ones.
stream.peer = nil

--- An answer in pieces.
---@class weir.response
local response = {}
--- 
function response:read(n) end
--- 
function response:chunks(n) end
--- It came whole.
function response:ended() end
--- No more of it.
function response:cancel() end

--- Where an answer in pieces is written.
---@class weir.out
local out = {}
--- Waits while the asker's window is shut.
function out:write(bytes) end
--- Up to n bytes of a stream, without passing through Lua.
function out:copy(stream, n) end

--- What self.NAME is for a feed.
---@class weir.feed
local feed = {}
--- state; value nil removes the key.
function feed:set(key, value) end
--- sum.
function feed:add(key, n) end
--- drop-oldest.
function feed:push(value) end
--- 
function feed:followers() end
--- Values merged or dropped for slow followers.
function feed:missed() end

--- What self.NAME is for a map.
---@class weir.map
local map = {}
--- 
function map:get(peer) end
--- 
function map:set(peer, value) end
--- peer, value; oldest first.
function map:each() end

--- What self.NAME is for a store.
---@class weir.store
local store = {}
--- 
function store:get(key) end
--- nil removes it.
function store:set(key, value) end
--- Sorted.
function store:keys() end

--- What after and self:every give.
---@class weir.timer
local timer = {}
--- 
function timer:cancel() end

--- A running BLAKE2b-256.
---@class weir.hasher
local hasher = {}
--- 
function hasher:add(bytes) end
--- 
function hasher:done() end
