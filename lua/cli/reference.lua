-- SPDX-License-Identifier: MIT
-- Makes docs/lua.md and the types for editors (lua/weir.d.lua) from lua/api.lua. `weir reference`
-- prints the one, `weir reference --types` the other; a test compares both with what is in the tree.
local M = {}

local function signature(object, item)
    local name = object and object .. ":" .. item.name or item.name
    if item.value then return object and object .. "." .. item.name or item.name end
    local args = item.args or ""
    local call = args:sub(1, 1) == "{" and " " .. args or "(" .. args .. ")"
    return name .. call
end

local function row(object, item)
    local returns = item.returns and item.returns ~= "" and item.returns or "–"
    local waits = item.yields and " *Waits.*" or ""
    return ("| `%s` | %s | %s%s |"):format(signature(object, item):gsub("|", "\\|"),
        (returns:gsub("|", "\\|")), (item.text:gsub("|", "\\|")), waits)
end

local WHERE = { top = "while the file loads", handler = "in handlers", any = "anywhere" }

function M.docs(api)
    local out = {}
    local function line(text) out[#out + 1] = text end
    line "# The scripting API"
    line ""
    line "Written by `weir reference` from lua/api.lua."
    line ""
    line("A script is Lua 5.4 in a sandbox. It declares one protocol or one game and returns it; the "
        .. "methods of what it declares are its handlers. A handler reads as if it blocked, and "
        .. "while it waits others run. Failure is `nil`, a sentence for people, and a name for "
        .. "programs; only misuse raises. Times are microseconds (`5*sec`), sizes are bytes "
        .. "(`16*KB`).")
    local open
    for _, item in ipairs(api) do
        if item.group then
            line("")
            line("## " .. item.group)
            line("")
            line(item.text)
            line("")
            line "| | gives | |"
            line "|---|---|---|"
            open = true
        elseif item.name and open then
            line(row(nil, item))
        elseif item.object then
            line("")
            line("## " .. item.object)
            line("")
            line(item.text)
            line("")
            line "| | gives | |"
            line "|---|---|---|"
            for _, m in ipairs(item.methods) do line(row(item.object, m)) end
        elseif item.methods_of_script then
            line("")
            line "## What the runtime calls"
            line("")
            line(item.text)
            line("")
            line "| | |"
            line "|---|---|"
            for _, m in ipairs(item.methods) do
                line(("| `P:%s(%s)` | %s |"):format(m.name, m.args, m.text))
            end
        elseif item.lua then
            line("")
            line "## Lua's own"
            line("")
            line(item.text)
            line("")
            line("`" .. table.concat(item.lua, "`, `") .. "`")
        end
    end
    line ""
    line "## Where"
    line ""
    local places = { top = {}, handler = {}, any = {} }
    for _, item in ipairs(api) do
        if item.where then table.insert(places[item.where], "`" .. item.name .. "`") end
    end
    for _, where in ipairs { "top", "handler", "any" } do
        line(("* %s: %s"):format(WHERE[where], table.concat(places[where], ", ")))
    end
    return table.concat(out, "\n") .. "\n"
end

-- Parameter names out of "peer, P.message, value [, within]".
local function parameters(args)
    local list = {}
    if (args or ""):find("%.%.%.") and not args:find("{") then return { "..." } end
    if (args or ""):sub(1, 1) == "{" then return { "options" } end
    for word in (args or ""):gsub("[%[%]]", ""):gmatch("[^,]+") do
        local name = word:match("([%a_][%w_%.]*)") or "value"
        name = name:match("P%.([%w_]+)") or name:gsub("%..*", "")
        if name == "function" then name = "handler" end
        if name == "true" or name == "self" or word:find('"') and not word:find("^%s*[%a_]") then
            name = "choice"
        end
        list[#list + 1] = name .. (list[name] and #list or "")
        list[name] = true
    end
    return list
end

local function stub(out, prefix, item)
    out[#out + 1] = "--- " .. item.text
    if item.value then
        out[#out + 1] = prefix .. item.name .. " = nil"
        return
    end
    out[#out + 1] = ("function %s%s(%s) end"):format(prefix, item.name,
        table.concat(parameters(item.args), ", "))
end

function M.types(api)
    local out = { "---@meta",
        "-- Written by `weir reference --types` from lua/api.lua: for editors with a Lua language "
        .. "server.", "" }
    for _, item in ipairs(api) do
        if item.name and item.where and item.name ~= "fields" then
            stub(out, "", item)
            out[#out + 1] = ""
        elseif item.object then
            out[#out + 1] = "--- " .. item.text
            out[#out + 1] = "---@class weir." .. item.object
            out[#out + 1] = ("local %s = {}"):format(item.object)
            for _, m in ipairs(item.methods) do
                stub(out, item.object .. (m.value and "." or ":"), m)
            end
            out[#out + 1] = ""
        end
    end
    return table.concat(out, "\n")
end

return function(o)
    local api = load(weir.embedded("api.lua"), "@api.lua", "t", {})()
    weir.module("screen").print((o.types and M.types or M.docs)(api):gsub("\n$", ""), "")
    return 0
end
