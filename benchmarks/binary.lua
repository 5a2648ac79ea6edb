-- SPDX-License-Identifier: Apache-2.0
-- wrk script: one binary request (BODY, whose first HEAD_LENGTH bytes are JSON) again and again; prints one line of JSON.
local request_bytes

function init()
   local file = io.open(os.getenv("BODY"), "rb")
   local body = file:read("*a")
   file:close()
   wrk.method = "POST"
   wrk.headers["Content-Type"] = "application/octet-stream"
   wrk.headers["Inference-Header-Content-Length"] = os.getenv("HEAD_LENGTH")
   request_bytes = wrk.format(nil, nil, nil, body)
end

function request()
   return request_bytes
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      'RESULT {"requests_per_s":%.1f,"p50_us":%.1f,"p99_us":%.1f,"errors":%d}\n',
      summary.requests / summary.duration * 1e6, latency:percentile(50), latency:percentile(99),
      errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
