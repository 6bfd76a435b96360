-- Hooks of socket messages: the Lua side of tests/realtime_hooks.rs.
local nk = require("nakama")

local function tell(context, what, seen)
  seen.mode, seen.session = context.execution_mode, context.session_id
  nk.notification_send(context.user_id, what, seen, 1)
end

nk.register_rt_before(function(context, envelope)
  local status = envelope.status_update.status
  if status == "refuse" then error({"refused by a hook", 3}) end
  if status == "fail" then error("failed in a hook", 0) end
  if status == "drop" then return nil end
  if status == "text" then return "text" end
  if status == "unknown" then envelope.status_update.nonsense = 1 end
  if status == "another" then return {cid = "another", pong = {}} end
  if status == "mark" then envelope.cid = "changed" end
  if status == "take away" then envelope.status_update.status = nil end
  if status == "who" then
    envelope.status_update.status = nk.json_encode({
      mode = context.execution_mode, user_id = context.user_id, username = context.username,
      session = context.session_id, lang = context.lang, timed = context.user_session_exp > 0,
      ip = context.client_ip, cid = envelope.cid,
    })
  end
  return envelope
end, "statusUPDATE")

nk.register_rt_after(function(context, output, input)
  tell(context, "after status", {cid = output.cid, status = input.status_update.status})
end, "StatusUpdate")

nk.register_rt_after(function(context, output, input)
  tell(context, "after follow", {answered = next(output) ~= nil, ids = #(input.status_follow.user_ids or {})})
end, "StatusFollow")

nk.register_rt_before(function(context, envelope)
  if envelope.cid == "refuse" then error({"no pings", 14}) end
  return envelope
end, "Ping")

nk.register_rt_after(function(context, output, input)
  tell(context, "after pong", {answered = next(output) ~= nil, cid = input.cid})
end, "Pong")

nk.register_rt_before(function(context, envelope)
  local send = envelope.match_data_send
  -- Numbers of 64 bits and bytes are text, as in JSON.
  if send.op_code == "9007199254740993" then
    send.op_code = "7"
    send.data = nk.base64_encode("was " .. nk.base64_decode(send.data))
  end
  return envelope
end, "MatchDataSend")

nk.register_rt_after(function(context, output, input)
  tell(context, "after data", {answered = next(output) ~= nil, op_code = input.match_data_send.op_code})
end, "MatchDataSend")
