// SPDX-License-Identifier: Apache-2.0
// The calls that the page makes.

const POLL_TIMEOUT_MS = 5000;
const PREDICT_TIMEOUT_MS = 30000;

/** An answer of the server that is not a success; `status` is 0 when none came, `hint` may be undefined. */
export class ApiError extends Error {
  constructor(message, status, hint) {
    super(message);
    this.status = status;
    this.hint = hint;
  }
}

async function send(path, options, timeoutMs) {
  let response, text;
  try {
    response = await fetch(path, { cache: 'no-store', ...options, signal: AbortSignal.timeout(timeoutMs) });
    text = await response.text();
  } catch (cause) {
    const late = cause.name === 'TimeoutError';
    throw new ApiError(late ? `no answer within ${timeoutMs / 1000} s` : 'no connection', 0);
  }
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    body = null;
  }
  if (!response.ok) {
    const message = body?.detail ?? body?.error ?? response.statusText; // problem details, or the inference protocol's form
    throw new ApiError(message || `HTTP ${response.status}`, response.status, body?.hint);
  }
  if (body === null) throw new ApiError('the answer is not JSON', response.status);
  return body;
}

export function fetchModels() {
  return send('/api/v1/models', {}, POLL_TIMEOUT_MS).then((body) => body.models);
}

export function fetchStats() {
  return send('/api/v1/stats', {}, POLL_TIMEOUT_MS);
}

/**
 * The same every second, without asking: `onStats` for each, `onEnd` once when there will be no more. Null where the
 * browser cannot; else close() ends it without a call.
 */
export function streamStats(onStats, onEnd) {
  if (!('EventSource' in window)) return null;
  const source = new EventSource('/api/v1/stats/stream');
  source.addEventListener('stats', (event) => onStats(JSON.parse(event.data)));
  source.onerror = () => { // who lost it asks again before it comes back
    source.close();
    onEnd();
  };
  return source;
}

export function predictPath(model) {
  const part = encodeURIComponent;
  return `/v1/models/${part(model.name)}/versions/${part(model.version)}:predict`;
}

export function inferPath(model) {
  return `${metadataPath(model)}/infer`;
}

function metadataPath(model) {
  const part = encodeURIComponent;
  return `/v2/models/${part(model.name)}/versions/${part(model.version)}`;
}

/** Resolves to the inputs and outputs of a model, as the Open Inference Protocol describes them. */
export function fetchMetadata(model) {
  return send(metadataPath(model), {}, POLL_TIMEOUT_MS);
}

/** Resolves to the answer to an inference request of that protocol. `body` is JSON text. */
export function infer(model, body) {
  const headers = { 'content-type': 'application/json' };
  return send(inferPath(model), { method: 'POST', headers, body }, PREDICT_TIMEOUT_MS);
}

/** Resolves to the first prediction: a number, or an array of them. `body` is JSON text. */
export async function predict(model, body) {
  const headers = { 'content-type': 'application/json' };
  const reply = await send(predictPath(model), { method: 'POST', headers, body }, PREDICT_TIMEOUT_MS);
  return reply.predictions[0];
}
