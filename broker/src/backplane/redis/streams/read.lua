-- KEYS: the stream's position, the stream
-- ARGV: an epoch for a stream that begins, how long the position lives (ms), how many at most (-1: all),
--       XRANGE or XREVRANGE, and from where to where
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then
  epoch = ARGV[1]
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'offset', 0)
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local answer = { redis.call('HGET', KEYS[1], 'offset') or '0', epoch }
local limit = tonumber(ARGV[3])
if limit == 0 then
  return answer
end
local entries
if limit < 0 then
  entries = redis.call(ARGV[4], KEYS[2], ARGV[5], ARGV[6])
else
  entries = redis.call(ARGV[4], KEYS[2], ARGV[5], ARGV[6], 'COUNT', limit)
end
for _, entry in ipairs(entries) do
  answer[#answer + 1] = entry[1]
  answer[#answer + 1] = entry[2][2]
end
return answer
