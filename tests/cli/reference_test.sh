# SPDX-License-Identifier: MIT
# docs/lua.md and the types for editors are what lua/api.lua says: `weir reference` writes both.
. "$(dirname "$0")/lib.sh"
expect 0 reference
cmp out "$tree/docs/lua.md" || fail "docs/lua.md is not what lua/api.lua says: build/weir reference >docs/lua.md"
expect 0 reference --types
cmp out "$tree/lua/weir.d.lua" ||
    fail "lua/weir.d.lua is not what lua/api.lua says: build/weir reference --types >lua/weir.d.lua"
