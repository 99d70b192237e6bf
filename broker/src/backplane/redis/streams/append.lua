-- KEYS: the stream's position, the stream, the channel's pub/sub name
-- ARGV: how many to keep, for how long (ms), how long the position lives (ms), an epoch for a stream that begins,
--       what a packet begins with, then each envelope
local size = tonumber(ARGV[1])
local count = #ARGV - 5
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then
  epoch = ARGV[4]
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[1], 'epoch', epoch)
end
local last = redis.call('HINCRBY', KEYS[1], 'offset', count)
local first = last - count + 1
for i = math.max(1, count - size + 1), count do
  redis.call('XADD', KEYS[2], 'MAXLEN', size, string.format('%.0f', first + i - 1), 'p', ARGV[5 + i])
end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
local stream = '\7' .. struct.pack('<I4I8', 16, first) .. epoch
redis.call('PUBLISH', KEYS[3], ARGV[5] .. stream .. table.concat(ARGV, '', 6))
return string.format('%.0f', first) .. ' ' .. epoch
