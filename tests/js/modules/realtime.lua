-- Makes and signals the match of realtime_match.lua.
local nk = require("nakama")

nk.register_rpc(function(_, payload)
  return nk.match_create("realtime_match", { room = payload })
end, "create_lua")

nk.register_rpc(function(_, payload)
  local request = nk.json_decode(payload)
  return nk.match_signal(request.match_id, request.data)
end, "signal")
