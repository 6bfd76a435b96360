-- A match that counts its ticks aloud, and does what a member asks: op code 1 fails, 2 waits for the
-- database, 3 never ends.
local nk = require("nakama")
local M = {}

function M.match_init()
  return {}, 10, ""
end

function M.match_join_attempt(_, _, _, state)
  return state, true
end

local function stay(_, _, _, state)
  return state
end

M.match_join, M.match_leave, M.match_terminate, M.match_signal = stay, stay, stay, stay

function M.match_loop(_, dispatcher, tick, state, messages)
  for _, message in ipairs(messages) do
    if message.op_code == 1 then
      error("on demand")
    elseif message.op_code == 2 then
      nk.sql_query("SELECT 1 FROM pg_sleep(1.5)")
    elseif message.op_code == 3 then
      while true do
      end
    end
  end
  dispatcher.broadcast_message(10, tostring(tick))
  return state
end

return M
