-- SPDX-License-Identifier: MIT
-- What commands with scripts share: reading them, keys, what may be granted, live nodes.
local screen = weir.module("screen")
local M = {}

local grants = { exec = 1, env = 2, unix = 4, input = 8 }

-- Ends the command.
function M.fail(sentence, code)
    error({ code = code or 1, text = sentence })
end

-- The script's text and the name under which it is loaded. Those that come with weir need no path.
function M.read(path)
    local file, why = io.open(path, "rb")
    local text = file and file:read("a")
    if file then file:close() end
    if text then return text, path end
    for _, folder in ipairs { "protocols", "games" } do
        local name = ("%s/%s.lua"):format(folder, path:gsub("%.lua$", ""))
        if not path:find("/", 1, true) and weir.embedded(name) then
            return weir.embedded(name), name, true
        end
    end
    local look_alike = io.open(path .. ".lua", "rb")
    if look_alike then
        look_alike:close()
        M.fail(("%s (did you mean '%s.lua'?)"):format(why or path, path))
    end
    if not path:find("/", 1, true) and not path:find("%.lua$") then
        why = ("%s: there is no such file, and no script of this name comes with weir"):format(path)
    end
    M.fail(why or path .. ": it cannot be read")
end

-- Loads a script, or ends with what is wrong: "file.lua:3: ..." and nothing before it.
function M.load(runtime, path)
    local text, name, is_ours = M.read(path)
    local script, why = runtime:load(name, text)
    if not script then error({ code = 1, text = why, plain = true }) end
    return script, name, is_ours
end

function M.default_key()
    local base = os.getenv("XDG_CONFIG_HOME")
    if not base or base == "" then
        local home = os.getenv("HOME")
        if not home or home == "" then
            M.fail("neither XDG_CONFIG_HOME nor HOME is set: name a key file with --key")
        end
        base = home .. "/.config"
    end
    return base .. "/weir/key"
end

-- The key of a file, made if it is not there. Gives the key and whether it is new.
function M.key(path)
    local key, why, name = weir.key_load(path)
    if key then return key, false end
    if name ~= "not_found" then M.fail(("%s: %s"):format(path, why)) end
    local folder = path:match("^(.+)/[^/]*$")
    if folder then
        local made
        made, why = weir.make_folder(folder)
        if not made then M.fail(why) end
    end
    key = weir.key_generate()
    local saved
    saved, why = weir.key_save(path, key)
    if not saved then M.fail(("%s: %s"):format(path, why)) end
    return key, true
end

-- { "fs=DIR", "exec,env" } as bits and a folder.
function M.allow(list)
    local bits, files = 0, nil
    for _, words in ipairs(list) do
        for word in words:gmatch("[^,]+") do
            local folder = word:match("^fs=(.+)$")
            if folder then
                local _, _, kind = weir.look(folder)
                if kind ~= "folder" then M.fail(folder .. " is not a folder") end
                if files then M.fail("--allow fs=FOLDER: one folder can be granted", 2) end
                files = folder
            elseif word == "fs" or word == "fs=" then
                M.fail("--allow fs: which folder is missing: --allow fs=FOLDER", 2)
            elseif grants[word] then
                bits = bits | grants[word]
            else
                M.fail(("--allow: there is no '%s': fs=FOLDER, exec, env, unix or input")
                    :format(word), 2)
            end
        end
    end
    return bits, files
end

-- A live node of the options --key, --identity and --memory, with a runtime.
function M.open(o, log)
    local key
    if o.key and o.identity then M.fail("--key and --identity exclude each other", 2) end
    if o.key or o.identity then key = M.key(o.key or M.default_key()) end
    local node, why = weir.node { key = key, memory = o.memory, log = log }
    if not node then M.fail(why) end
    local bits, files = M.allow(o.allow or {})
    local runtime
    runtime, why = weir.runtime { allow = bits, files = files, modules = o.modules }
    if not runtime then M.fail(why) end
    return node, runtime
end

-- Listens, and prints the invitations.
function M.listen(node, addresses, quiet)
    for _, address in ipairs(addresses) do
        local ok, why, name = node:listen(address)
        if not ok then
            M.fail(("cannot listen on %s: %s"):format(address, why), name == "address" and 2 or 1)
        end
    end
    local i = 1
    while not quiet and node:invitation(i) do
        screen.print("listening ", node:invitation(i))
        i = i + 1
    end
end

-- Shows what scripts and the node said since the last time. least: the highest level shown.
function M.show(node, runtime, least)
    for _, line in ipairs(runtime:lines()) do
        if line.level <= least then screen.line(line.level, line.text) end
    end
    for _, line in ipairs(node:log()) do
        if line.level <= least then screen.line(line.level, line.text) end
    end
end

return M
