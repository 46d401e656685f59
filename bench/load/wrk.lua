-- What wrk sends and says. Requests are built once and cycled, so that a request costs the load generator a table
-- look-up: nine headers as a browser or a service client sends them, a Host of its own per service. The figures are
-- printed as one JSON line; latencies of wrk are closed-loop (a slow proxy slows the load), so percentiles that are
-- quoted come from oha instead.
--   arguments: METHOD PATH SERVICES BODY_BYTES
local requests, index, count = {}, 0, 0

function init(args)
  local method, path, services, size = args[1], args[2], tonumber(args[3]), tonumber(args[4])
  local body = nil
  if size > 0 then body = string.rep("x", size) end
  for i = 0, services - 1 do
    local headers = {
      ["Host"] = "svc-" .. i .. ".bench.example",
      ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
      ["Accept"] = "application/json, text/plain, */*",
      ["Accept-Encoding"] = "gzip, deflate, br",
      ["Accept-Language"] = "en-GB,en;q=0.9,de;q=0.7",
      ["Authorization"] = "Bearer eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJjYXJ0Iiwic2NvcGUiOiJyZWFkIn0.MEUCIQDx7zLqv2vYy1Cq",
      ["Cookie"] = "session=8f14e45fceea167a5a36dedd4bea2543; theme=dark; consent=1",
      ["Referer"] = "https://shop.bench.example/cart/checkout?step=2",
      ["Cache-Control"] = "no-cache",
    }
    requests[i] = wrk.format(method, path, headers, body)
  end
  count = services
end

function request()
  index = (index + 1) % count
  return requests[index]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"durationUs":%d,"bytes":%d,"socketErrors":%d,"statusErrors":%d,"p50":%d,"p99":%d}\n',
    summary.requests, summary.duration, summary.bytes, e.connect + e.read + e.write + e.timeout, e.status,
    latency:percentile(50), latency:percentile(99)))
end
