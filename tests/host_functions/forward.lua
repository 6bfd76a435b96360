-- Calls any host function: the Lua side of tests/host_functions.rs.
local nk = require("nakama")

nk.register_storage_index("cases", "indexed", "", {"n", "who"}, {"n"}, 100, false)

local function read(value)
  if type(value) == "table" and value.base16 then
    return nk.base16_decode(value.base16)
  elseif type(value) == "table" and value.returns then
    return function() return value.returns end
  end
  return value
end

local function show(value)
  if type(value) == "string" and value:find("[\128-\255]") then
    return {base16 = nk.base16_encode(value)}
  elseif type(value) == "table" then
    local shown = {}
    for key, inner in pairs(value) do
      shown[key] = show(inner)
    end
    return shown
  end
  return value
end

local function pack(...)
  return {...}, select("#", ...)
end

local function call(context, payload)
  local request = nk.json_decode(payload)
  local arguments = {}
  for at = 1, request.count do
    arguments[at] = read(request.arguments[at])
  end
  local results, count = pack(pcall(nk[request.name], unpack(arguments, 1, request.count)))
  if not results[1] then
    local problem = results[2]
    return nk.json_encode({error = tostring(type(problem) == "table" and problem[1] or problem)})
  end
  -- JSON knows no list with holes.
  for at = 1, count do
    if results[at] == nil then
      results[at] = {nothing = true}
    end
  end
  table.remove(results, 1)
  return nk.json_encode({value = show(results)})
end
nk.register_rpc(call, "call_lua")
