-- RPCs in Lua. Call one with the HTTP key:
--   curl 'http://127.0.0.1:7350/v2/rpc/hello_lua?unwrap&http_key=defaulthttpkey' -d '"you"'
local nk = require("nakama")

-- The smallest RPC: it gets a context and the payload, and gives back a text.
local function hello(context, payload)
  local name = payload ~= "" and nk.json_decode(payload) or "world"
  return nk.json_encode({message = "Hello, " .. name .. "!", from = "Lua"})
end
nk.register_rpc(hello, "hello_lua")

-- Storage: a counter of visits for the calling user. The version makes concurrent writes safe: of
-- two calls that read the same count one is refused, and tries again.
local function visit(context, payload)
  local id = {collection = "visits", key = "counter", user_id = context.user_id}
  for attempt = 1, 5 do
    local object = nk.storage_read({id})[1]
    local count = object and object.value.count + 1 or 1
    local ok = pcall(nk.storage_write, {{
      collection = id.collection, key = id.key, user_id = id.user_id,
      value = {count = count}, version = object and object.version or "*",
      permission_read = 1, permission_write = 0,
    }})
    if ok then
      return nk.json_encode({count = count})
    end
  end
  error({"too many visits at once", 10})
end
nk.register_rpc(visit, "visit_lua")

-- SQL: parameters go apart from the text, never into it.
local function users_named(context, payload)
  local prefix = nk.json_decode(payload).prefix
  local rows = nk.sql_query(
    "SELECT username FROM users WHERE username LIKE $1 || '%' ORDER BY username LIMIT 10", {prefix})
  local names = {}
  for i, row in ipairs(rows) do
    names[i] = row.username
  end
  return nk.json_encode({count = #names, first = names[1]})
end
nk.register_rpc(users_named, "users_named_lua")
