-- Shapes the globals of an interpreter after the reference's: what LuaJIT brings is cut down to
-- the harmless, what lacks is added. Runs once, before any module.
--
-- `host` holds functions written in Rust: number_text, search, upper, lower, date, time, clock,
-- print, read, module, seed, the steps of host functions that call back, and, in a match, complete.
-- `nakama` is the module of that name. Returns the function that begins a module's life after loading.
local host, nakama, files = ...

local error, type, select, rawget, rawset, setmetatable, getmetatable, pairs, ipairs, setfenv, pcall =
  error, type, select, rawget, rawset, setmetatable, getmetatable, pairs, ipairs, setfenv, pcall
local raw_tostring, raw_load, raw_newproxy = tostring, load, newproxy
local string, table, math, os, bit = string, table, math, os, bit
local raw_find, raw_match, raw_gmatch, raw_gsub = string.find, string.match, string.gmatch, string.gsub
local raw_format, raw_upper, raw_lower = string.format, string.upper, string.lower
local byte, sub, concat, floor = string.byte, string.sub, table.concat, math.floor
local search = host.search

local function only(library, names)
  local wanted = {}
  for name in raw_gmatch(names, "%w+") do wanted[name] = true end
  for name in pairs(library) do
    if not wanted[name] then library[name] = nil end
  end
end

-- Text of numbers: LuaJIT shows 14 digits, the reference all.
local function tostring(value)
  if type(value) == "number" then
    if value % 1 == 0 and value > -1e14 and value < 1e14 and value ~= 0 then return raw_tostring(value) end
    return host.number_text(value)
  end
  return raw_tostring(value)
end

-- Patterns. LuaJIT's matcher cannot be stopped, so what could take long goes to ours, which
-- minds the deadline. How often a pattern may try again is counted once for each pattern.
local weights, weighed = {}, 0
local function weigh(pattern)
  local weight, at, length = 0, 1, #pattern
  while at <= length do
    local c = byte(pattern, at)
    if c == 37 then -- %b and back references walk as well
      at = at + 1
      local d = byte(pattern, at)
      if d and (d == 98 or (d >= 48 and d <= 57)) then weight = weight + 1 end
    elseif c == 42 or c == 43 or c == 45 or c == 63 then
      weight = weight + 1
    end
    at = at + 1
  end
  if weighed >= 1000 then weights, weighed = {}, 0 end
  weights[pattern], weighed = weight, weighed + 1
  return weight
end

local function cheap(text, pattern)
  local weight = weights[pattern] or weigh(pattern)
  local steps, length = #text + 1, #text + 1
  for _ = 1, weight do
    steps = steps * length
    if steps > 1e7 then return false end
  end
  return true
end

local function texts(text, pattern)
  local a, b = type(text), type(pattern)
  return (a == "string" or a == "number") and (b == "string" or b == "number")
end

local function picked(text, first, last, ...)
  if not first then return nil end
  if select("#", ...) == 0 then return sub(text, first, last) end
  return ...
end

only(string, "byte char dump find format gmatch gsub len lower match rep reverse sub upper")

function string.find(text, pattern, init, plain)
  if plain or not texts(text, pattern) then return raw_find(text, pattern, init, plain) end
  text, pattern = raw_tostring(text), raw_tostring(pattern)
  if cheap(text, pattern) then return raw_find(text, pattern, init) end
  return search(text, pattern, init or 1, true)
end

function string.match(text, pattern, init)
  if not texts(text, pattern) then return raw_match(text, pattern, init) end
  text, pattern = raw_tostring(text), raw_tostring(pattern)
  if cheap(text, pattern) then return raw_match(text, pattern, init) end
  return picked(text, search(text, pattern, init or 1, true))
end

function string.gmatch(text, pattern)
  if not texts(text, pattern) then return raw_gmatch(text, pattern) end
  text, pattern = raw_tostring(text), raw_tostring(pattern)
  if cheap(text, pattern) then return raw_gmatch(text, pattern) end
  local at = 1
  local function step(first, last, ...)
    if not first then
      at = #text + 2
      return nil
    end
    at = last >= first and last + 1 or first + 1
    return picked(text, first, last, ...)
  end
  return function()
    if at > #text + 1 then return nil end
    return step(search(text, pattern, at, false))
  end
end
string.gfind = string.gmatch

-- What a match is replaced by; `whole` where the answer is false.
local function replacement(replace, whole, ...)
  local first = select("#", ...) == 0 and whole or (...)
  local kind, value = type(replace), nil
  if kind == "function" then
    if select("#", ...) == 0 then value = replace(whole) else value = replace(...) end
  elseif kind == "table" then
    value = replace[first]
  else
    local captures = {...}
    return (raw_gsub(replace, "%%(.)", function(c)
      if c == "0" then return whole end
      local n = byte(c) - 48
      if n < 0 or n > 9 then return c end
      if n == 1 and #captures == 0 then return whole end
      if captures[n] == nil then error("invalid capture index", 0) end
      return captures[n]
    end))
  end
  if not value then return whole end
  if type(value) ~= "string" and type(value) ~= "number" then
    error("invalid replacement value (a " .. type(value) .. ")", 3)
  end
  return value
end

function string.gsub(text, pattern, replace, limit)
  local kind = type(replace)
  if not texts(text, pattern) or not (kind == "string" or kind == "number" or kind == "table" or kind == "function") then
    return raw_gsub(text, pattern, replace, limit)
  end
  text, pattern = raw_tostring(text), raw_tostring(pattern)
  if cheap(text, pattern) then return raw_gsub(text, pattern, replace, limit) end
  if kind == "number" then replace = raw_tostring(replace) end
  local parts, at, count, most = {}, 1, 0, limit or #text + 1
  local anchored = byte(pattern, 1) == 94
  local function step(first, last, ...)
    if not first then return false end
    parts[#parts + 1] = sub(text, at, first - 1)
    parts[#parts + 1] = replacement(replace, sub(text, first, last), ...)
    count = count + 1
    if last >= first then
      at = last + 1
    else
      parts[#parts + 1] = sub(text, first, first)
      at = first + 1
    end
    return at <= #text + 1
  end
  while count < most do
    if not step(search(text, pattern, at, true)) or anchored then break end
  end
  parts[#parts + 1] = sub(text, at)
  return concat(parts), count
end

-- Letters beyond ASCII have cases too.
function string.upper(text)
  if type(text) == "string" and raw_find(text, "[\128-\255]") then return host.upper(text) end
  return raw_upper(text)
end

function string.lower(text)
  if type(text) == "string" and raw_find(text, "[\128-\255]") then return host.lower(text) end
  return raw_lower(text)
end

-- %v is the reference's word for "as text".
local formats, formatted = {}, 0
function string.format(format, ...)
  local known = formats[format]
  if not known then
    if type(format) ~= "string" then return raw_format(format, ...) end
    known = raw_gsub(format, "(%%+)([-+ #0]*)v", function(signs, flags)
      if #signs % 2 == 1 then return signs .. flags .. "s" end
    end)
    if formatted >= 1000 then formats, formatted = {}, 0 end
    formats[format], formatted = known, formatted + 1
  end
  return raw_format(known, ...)
end

function string.dump() error("string.dump is not supported", 2) end
string.__index = string

only(table, "concat insert maxn remove sort")

-- A long list is compared by Lua code, which can be stopped.
local raw_sort = table.sort
local function less(a, b) return a < b end
function table.sort(list, before)
  if before == nil and type(list) == "table" and #list > 10000 then before = less end
  return raw_sort(list, before)
end
function table.getn(list) return #list end

only(math, "abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp ldexp log log10 max min modf pow rad random randomseed sin sinh sqrt tan tanh pi huge")
function math.mod(a, b) return a % b end
math.huge = 1.7976931348623157e308
math.randomseed(host.seed())

only(os, "")
os.clock, os.date, os.time = host.clock, host.date, host.time
function os.difftime(a, b) return floor(a) - floor(b) end

-- bit32 over LuaJIT's bit operations, which answer signed numbers.
local band, bor, bxor, bnot, lshift, rshift, arshift, rol, tobit =
  bit.band, bit.bor, bit.bxor, bit.bnot, bit.lshift, bit.rshift, bit.arshift, bit.rol, bit.tobit
local function unsigned(value) return value % 4294967296 end
local function word(value) return tobit(value % 4294967296) end
local function over(operation, first)
  return function(...)
    local result = first
    for i = 1, select("#", ...) do result = operation(result, word((select(i, ...)))) end
    return unsigned(result)
  end
end
local function field(offset, width)
  width = width or 1
  if offset < 0 or width < 1 or offset + width > 32 then error("trying to access non-existent bits", 3) end
  return width == 32 and -1 or lshift(1, width) - 1
end
local function left(value, count)
  if count < 0 then
    if count <= -32 then return 0 end
    return unsigned(rshift(word(value), -count))
  end
  if count >= 32 then return 0 end
  return unsigned(lshift(word(value), count))
end
local all = over(band, -1)
bit32 = {
  band = all,
  bor = over(bor, 0),
  bxor = over(bxor, 0),
  bnot = function(value) return unsigned(bnot(word(value))) end,
  btest = function(...) return all(...) ~= 0 end,
  lshift = left,
  rshift = function(value, count) return left(value, -count) end,
  arshift = function(value, count)
    if count < 0 then return left(value, -count) end
    return unsigned(arshift(word(value), count > 31 and 31 or count))
  end,
  lrotate = function(value, count) return unsigned(rol(word(value), count % 32)) end,
  rrotate = function(value, count) return unsigned(rol(word(value), -count % 32)) end,
  extract = function(value, offset, width)
    local mask = field(offset, width)
    return unsigned(band(rshift(word(value), offset), mask))
  end,
  replace = function(value, with, offset, width)
    local mask = field(offset, width)
    return unsigned(bor(band(word(value), bnot(lshift(mask, offset))), lshift(band(word(with), mask), offset)))
  end,
}

-- Text becomes code, bytecode does not.
function loadstring(text, name)
  if type(text) ~= "string" then error("bad argument #1 to loadstring (string expected, got " .. type(text) .. ")", 2) end
  return raw_load(text, name or "=<string>", "t")
end
function load(source, name)
  return raw_load(source, name or "=<string>", "t")
end
function loadfile(path)
  local text, name = host.read(path)
  if not text then return nil, name end
  return raw_load(text, "@" .. name, "t")
end
function dofile(path)
  local body, problem = loadfile(path)
  if not body then error(problem, 2) end
  return body()
end

-- A finalizer would run outside of any call and its deadline.
function newproxy(with)
  if with ~= true then return raw_newproxy(with) end
  local proxy = raw_newproxy(true)
  setmetatable(getmetatable(proxy), {__newindex = function(meta, key, value)
    if key == "__gc" then error("finalizers are not supported", 2) end
    rawset(meta, key, value)
  end})
  return proxy
end

function collectgarbage() end

print, _G.tostring = host.print, tostring

-- Modules. At load, `loaded` is what package.loaded shows. A call meets modules anew, as in the
-- reference, where it runs in another machine than the one that loaded them.
local busy = {}
local standard = {}
for _, name in ipairs({"string", "table", "math", "os", "bit32"}) do standard[name] = _G[name] end
standard._G, standard.nakama = _G, nakama

local function fresh(seed)
  local loaded = {}
  for name, value in pairs(seed) do loaded[name] = value end
  return loaded
end

package = {
  path = files .. "/?.lua;" .. files .. "/?/init.lua",
  cpath = "",
  preload = {},
  loaded = fresh(standard),
  loadlib = function() error("loadlib is not supported", 2) end,
  seeall = function(module)
    local meta = getmetatable(module)
    if not meta then
      meta = {}
      setmetatable(module, meta)
    end
    meta.__index = _G
  end,
}
package.loaders = {
  function(name)
    return rawget(package.preload, name) or "no field package.preload['" .. name .. "']"
  end,
  function(name)
    local body, problem = host.module(name)
    if body == nil then return "no module '" .. name .. "' in the runtime path" end
    if not body then error("error loading module: " .. problem, 0) end
    return body
  end,
}
standard.package, package.loaded.package = package, package

local loaded = package.loaded

function require(name)
  if type(name) ~= "string" then error("bad argument #1 to require (string expected, got " .. type(name) .. ")", 2) end
  local known = loaded[name]
  if known then
    if known == busy then error("loop or previous error loading module: " .. name, 2) end
    return known
  end
  local problems, body = {}, nil
  for _, loader in ipairs(package.loaders) do
    local answer = loader(name)
    if type(answer) == "function" then
      body = answer
      break
    elseif type(answer) == "string" then
      problems[#problems + 1] = answer
    end
  end
  if not body then error("module " .. name .. " not found:\n\t" .. concat(problems, "\n\t"), 2) end
  local into = loaded
  into[name] = busy
  local well, value = pcall(body, name)
  if not well then
    into[name] = nil
    error(value, 0)
  end
  if into[name] == busy then
    if value == nil then value = true end
    into[name] = value
  end
  return into[name]
end

function module(name, ...)
  local into = loaded[name]
  if type(into) ~= "table" then
    into = _G
    for part in raw_gmatch(name, "[^.]+") do
      if into[part] == nil then into[part] = {} end
      into = into[part]
      if type(into) ~= "table" then error("name conflict for module '" .. name .. "'", 2) end
    end
    loaded[name] = into
  end
  if into._NAME == nil then
    into._M, into._NAME, into._PACKAGE = into, name, raw_match(name, "^(.*%.)") or ""
  end
  setfenv(2, into)
  for i = 1, select("#", ...) do (select(i, ...))(into) end
end

-- Host functions that call a function of the module's, step by step: the server asks what the
-- function makes of something until it is done.
for name, step in pairs(host.calling_back) do
  rawset(nakama, name, function(first, callback, third)
    if type(callback) ~= "function" then
      error("bad argument #2 to " .. name .. " (expects a valid update function)", 2)
    end
    local answer = step(first, nil, third)
    while answer.ask do
      local value = callback(answer.ask)
      answer = step(first, nil, third, { round = answer.round, value = value })
    end
    return answer.done
  end)
end

-- In a match, `nakama` holds what was asked for so far, by a metatable. Nobody is to see this: whoever
-- looks at the table as a whole, or past its metatable, completes it, which takes the metatable away.
if host.complete then
  local partial = nakama
  local function whole(raw)
    return function(value, ...)
      if value == partial then
        partial = host -- which no script has
        host.complete(nakama)
      end
      return raw(value, ...)
    end
  end
  _G.pairs, _G.next, _G.rawget, _G.rawset = whole(pairs), whole(next), whole(rawget), whole(rawset)
  _G.getmetatable, _G.setmetatable = whole(getmetatable), whole(setmetatable)
end

jit, coroutine, debug, io, ffi = nil, nil, nil, nil, nil
_G.bit = nil
rawlen, gcinfo = nil, nil

return function() loaded = fresh(standard) end
