-- What clients do to matches by RPCs.
local nk = require("nakama")

nk.register_rpc(function(_, payload)
  local request = nk.json_decode(payload)
  return nk.match_create(request.module, request.params)
end, "make")

nk.register_rpc(function(_, payload)
  local request = nk.json_decode(payload)
  return nk.match_signal(request.id, request.data)
end, "signal")
