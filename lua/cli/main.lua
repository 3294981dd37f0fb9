-- SPDX-License-Identifier: MIT
-- The `weir` command: looks up the command, reads its options, runs it, and gives its exit code.
local commands = weir.module("commands")
local screen, text = weir.module("screen"), weir.module("text")

local function names()
    local list = {}
    for i, command in ipairs(commands) do list[i] = command.name end
    return list
end

local function find(name)
    for _, command in ipairs(commands) do
        if command.name == name then return command end
    end
end

local function wrong(sentence, command)
    screen.say("error", sentence)
    io.stderr:write("weir ", command and command.name .. " " or "", "--help says more\n")
    return 2
end

local function general(first, second)
    local help = weir.module("help")
    if first == "--version" then
        screen.print(weir.version())
    elseif first == "--help" or first == "-h" or first == "help" then
        local command = find(second)
        if second and not command then
            local hint = text.nearest(second, names())
            return wrong(("there is no command '%s'%s"):format(second, hint))
        end
        if command then help.command(command) else help.all() end
    elseif first == "--man" then
        screen.print(weir.module("man")())
    elseif first == "--completion" then
        local page = weir.module("completion")[second or ""]
        if not page then return wrong("--completion takes bash, zsh or fish") end
        screen.print(page())
    else
        return nil
    end
    return 0
end

local function run(command, arguments)
    local options, why = weir.module("options")(command, arguments)
    if not options then return wrong(why, command) end
    if options.help then
        weir.module("help").command(command)
        return 0
    end
    return weir.module(command.name)(options)
end

local function main(arguments)
    local first = table.remove(arguments, 1)
    if not first then
        weir.module("help").all(io.stderr)
        return 2
    end
    local done = general(first, arguments[1])
    if done then return done end
    local command = find(first)
    if command then return run(command, arguments) end
    local all = names()
    for _, name in ipairs { "--help", "--version", "--man", "--completion" } do
        all[#all + 1] = name
    end
    return wrong(("there is no command '%s'%s"):format(first, text.nearest(first, all)))
end

-- A command ends early by raising { code, text }.
return function(arguments)
    local ok, result = xpcall(main, function(e)
        return type(e) == "table" and e or weir.trace(tostring(e))
    end, arguments)
    screen.clear()
    if ok then return result end
    if type(result) ~= "table" then error(result, 0) end
    if result.text and result.plain then
        io.stderr:write(result.text, "\n")
    elseif result.text then
        screen.say("error", result.text)
    end
    return result.code
end
