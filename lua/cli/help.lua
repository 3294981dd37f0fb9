-- SPDX-License-Identifier: MIT
-- --help: of everything, and of one command.
local commands, screen, text = weir.module("commands"), weir.module("screen"), weir.module("text")
local M = {}

-- "run SCRIPT [options] [-- ARGUMENT...]"
function M.usage(command)
    local parts = { command.name }
    for _, argument in ipairs(command.arguments or {}) do
        parts[#parts + 1] = argument[1] .. (argument.many and "..." or "")
    end
    if #command.options > 0 then parts[#parts + 1] = "[options]" end
    if command.rest then parts[#parts + 1] = ("[-- %s...]"):format(command.rest) end
    return table.concat(parts, " ")
end

-- "-n, --count N"
function M.option(option)
    local head = "--" .. option.name
    if option.short then head = "-" .. option.short .. ", " .. head end
    return option.value and head .. " " .. option.value or head
end

local function width()
    return math.min(weir.width(1), 100)
end

function M.all(file)
    if file then
        file:write("weir COMMAND ...; weir --help says which\n")
        return
    end
    screen.print("weir: ", commands.summary, "\n")
    screen.print(text.wrap(commands.text, width(), ""), "\n")
    local rows = {}
    for i, command in ipairs(commands) do
        rows[i] = { "  weir " .. M.usage(command):gsub(" %[options%]", ""), command.summary }
    end
    rows[#rows + 1] = { "  weir --version", "of weir, Lua and libcbor" }
    rows[#rows + 1] = { "  weir --completion SHELL", "for bash, zsh or fish" }
    screen.columns(rows, nil, width())
    screen.print("\nweir COMMAND --help says more. Exit codes:")
    rows = {}
    for i, code in ipairs(commands.exit) do rows[i] = { "  " .. code[1], code[2] } end
    screen.columns(rows, nil, width())
end

function M.command(command)
    screen.print("weir ", M.usage(command), "\n")
    screen.print(text.wrap(command.text, width(), ""), "\n")
    local rows = {}
    for i, option in ipairs(command.options) do
        rows[i] = { "  " .. M.option(option), option.text .. (option.many and " May be repeated."
            or "") }
    end
    rows[#rows + 1] = { "  -h, --help", "This text." }
    screen.columns(rows, nil, width())
end

return M
