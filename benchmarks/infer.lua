-- SPDX-License-Identifier: Apache-2.0
-- wrk script: sends the bodies of the file named in BODIES (one per line) in turn, and prints one
-- line of JSON at the end. Requests are formatted once, so that wrk measures the server.
local requests, n, at = {}, 0, 0

function init()
   wrk.method = "POST"
   wrk.headers["Content-Type"] = "application/json"
   for body in io.lines(os.getenv("BODIES")) do
      n = n + 1
      requests[n] = wrk.format(nil, nil, nil, body)
   end
end

function request()
   at = at % n + 1
   return requests[at]
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      'RESULT {"requests_per_s":%.1f,"p50_us":%.1f,"p99_us":%.1f,"bytes_per_reply":%.1f,"errors":%d}\n',
      summary.requests / summary.duration * 1e6, latency:percentile(50), latency:percentile(99),
      summary.bytes / math.max(summary.requests, 1),
      errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
