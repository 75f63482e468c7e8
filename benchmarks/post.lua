-- POSTs one body, from a file, again and again; tells what came of it as one line of JSON.
-- Arguments: file, Content-Type, key.

local file, kind, key

function init(args)
  local handle = io.open(args[1], "rb")
  wrk.method = "POST"
  wrk.body = handle:read("*a")
  handle:close()
  wrk.headers["Content-Type"] = args[2]
  wrk.headers["X-API-Key"] = args[3]
end

function done(summary, latency, requests)
  local bad = summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.status + summary.errors.timeout
  io.write(string.format(
    '\n{"requests": %d, "seconds": %.6f, "bad": %d, "p50_s": %.6f, "p99_s": %.6f}\n',
    summary.requests, summary.duration / 1e6, bad,
    latency:percentile(50) / 1e6, latency:percentile(99) / 1e6))
end
