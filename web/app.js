// SPDX-License-Identifier: Apache-2.0
// The page: hears from the server once a second, keeps the last minutes, and draws. One model version is
// open at a time; its name is in the address, so a link or the back button leads to it.

import { fetchModels, fetchStats, streamStats } from './api.js';
import { sparkline } from './charts.js';
import { h, setFigure, setText } from './dom.js';
import { duration, plural, rate } from './format.js';
import { History, keyOf } from './history.js';
import { createModel, stateBadge } from './model.js';

const POLL_MS = 1000;
const RETRY_MAX_MS = 10000;
const MODELS_EVERY_MS = 10000;
const SILENCE_MAX_MS = 4000; // of a stream, until the page asks again
const STREAM_EVERY_MS = 15000; // a stream that was lost is asked for again

const state = {
  models: null,
  modelsAt: -Infinity,
  stats: null,
  seenAt: 0,      // of the last good answer
  failures: 0,    // attempts in a row without one
  problem: '',
  retryAt: 0,
};
const history = new History();
const $ = (id) => document.getElementById(id);

// --- the model that is open ---

let open = { key: null, text: '', view: null };

function selected() {
  const wanted = location.hash.replace(/^#\/?/, '').split('/').map(decode).join('/');
  return state.models.find((model) => keyOf(model) === wanted) ??
    state.models.find((model) => model.state === 'READY') ?? state.models[0];
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a hash that somebody typed
  }
}

const hashOf = (model) => `#/${encodeURIComponent(model.name)}/${encodeURIComponent(model.version)}`;

function noModels() {
  return h('section', { class: 'empty' }, h('h1', null, 'No models yet'),
    h('p', null, 'This server runs without a model. Start it with one, or with several:'),
    h('pre', null, 'phoenix serve model.json\nphoenix serve churn=churn/ fraud=fraud/\nphoenix serve models/'));
}

function drawModel(now) {
  const model = selected();
  const text = JSON.stringify(model ? { ...model, engine: model.engine?.name } : null); // some engines count on
  if (open.text !== text) {
    open = { key: model && keyOf(model), text, view: model ? createModel(model) : { node: noModels(), update() {} } };
    $('main').replaceChildren(open.view.node);
    document.title = model ? `${model.name} · Phoenix` : 'Phoenix';
  }
  const stats = state.stats.models.find((row) => keyOf(row) === open.key);
  if (stats) open.view.update(stats, history, now);
}

// --- the list ---

let list = { text: '', rows: [] };

function listRow(model) {
  const line = sparkline();
  const figure = h('span', { class: 'figure' });
  const ready = model.state === 'READY';
  const node = h('a', { href: hashOf(model), class: 'model', title: `${model.name} v${model.version}` },
    h('span', { class: 'head' }, h('span', { class: 'name' }, model.name), h('span', { class: 'version' }, `v${model.version}`),
      ready ? figure : stateBadge(model.state)), ready && line.node);
  return { model, node, line, figure };
}

function markCurrent(node, isCurrent) {
  if (isCurrent === node.hasAttribute('aria-current')) return;
  if (!isCurrent) return node.removeAttribute('aria-current');
  node.setAttribute('aria-current', 'page');
  node.scrollIntoView({ block: 'nearest', inline: 'nearest' });
}

function drawList(now) {
  const text = JSON.stringify(state.models.map((model) => [keyOf(model), model.state]));
  if (list.text !== text) {
    list = { text, rows: state.models.map(listRow) };
    const heading = h('h2', null, plural(state.models.length, 'model'));
    $('models').replaceChildren(heading, h('ul', null, list.rows.map((row) => h('li', null, row.node))));
  }
  $('models').hidden = state.models.length < 2;
  $('shell').classList.toggle('alone', state.models.length < 2);
  for (const row of list.rows) {
    const key = keyOf(row.model);
    markCurrent(row.node, key === open.key);
    setFigure(row.figure, rate(history.rate(key, 'requests')));
    row.line.update(history.rates(key, 'requests'), now);
  }
}

// --- the header and the banner ---

function serverState() {
  if (state.failures > 0) return ['unreachable', 'Unreachable'];
  if (!state.stats) return ['waiting', 'Connecting'];
  if (state.stats.draining) return ['draining', 'Draining'];
  if (!state.stats.ready) return ['missing', 'Not ready'];
  const failed = inState('FAILED').length;
  return failed ? ['missing', `${plural(failed, 'model')} failed`] : ['ready', 'Ready'];
}

const inState = (name) => state.models.filter((model) => model.state === name);

function drawHeader() {
  const [name, text] = serverState();
  $('status').dataset.state = name;
  document.body.dataset.server = name;
  setText($('status'), text);
  $('server').hidden = !state.stats;
  if (!state.stats) return;
  setFigure($('server-requests'), rate(history.rate('', 'requests')));
  setFigure($('server-rows'), rate(history.rate('', 'rows')));
  setText($('server-uptime'), duration(state.stats.uptime_s));
  setText($('server-version'), state.stats.version);
}

function missingText() {
  const failed = inState('FAILED');
  const names = (models) => models.map((model) => `${model.name} v${model.version}`).join(', ');
  if (failed.length) {
    const rest = state.stats.ready ? ' The others are serving.' : '';
    return `${plural(failed.length, 'model')} could not be loaded: ${names(failed)}.${rest}`;
  }
  return '';
}

function bannerText() {
  if (state.failures > 0) {
    const since = state.stats ? `The numbers below are ${duration((performance.now() - state.seenAt) / 1000)} old.` : '';
    return [`The server cannot be reached: ${state.problem}.`, since];
  }
  if (!state.stats) return ['', ''];
  if (state.stats.draining) return ['The server is draining: it still answers, new traffic should go elsewhere, and it stops soon.', ''];
  return [missingText(), ''];
}

const banner = {
  text: h('span'),
  detail: h('span', { class: 'detail', 'aria-hidden': 'true' }), // counts every second: not to be read out
  link: h('a', {}, 'See why'),
  retry: h('button', { type: 'button', class: 'small', onclick: () => poll() }, 'Retry now'),
};
$('banner').append(banner.text, banner.detail, banner.link, banner.retry);

function drawBanner() {
  const [text, detail] = bannerText();
  const wait = Math.ceil((state.retryAt - performance.now()) / 1000);
  setText(banner.text, text);
  setText(banner.detail, state.failures > 0 ? `${detail} ${wait > 0 ? `Next try in ${wait} s.` : 'Trying…'}`.trim() : '');
  banner.retry.hidden = state.failures === 0;
  const explains = state.failures === 0 && state.stats && !state.stats.draining;
  const failed = explains && state.models.find((model) => model.state === 'FAILED');
  banner.link.hidden = !failed;
  if (failed) banner.link.href = hashOf(failed);
  $('banner').hidden = text === '';
}

function draw() {
  drawHeader();
  drawBanner();
  if (!state.models || !state.stats) {
    const line = state.failures > 0 ? 'Waiting for the server…' : 'Connecting to the server…';
    if (!open.view) $('main').replaceChildren(h('p', { class: 'quiet' }, line));
    return;
  }
  const now = performance.now();
  drawModel(now);
  drawList(now);
}

// --- hearing from the server ---
//
// A page that is seen has a stream of events; each puts the next poll off, so that polling goes on by itself when the
// stream falls silent, is refused or lost. A hidden page polls: browsers open few connections to one server, and every
// tab with a stream holds one.

let timer = 0;
let busy = false; // one answer at a time: history needs them in order
let stream = null;
let streamAfter = 0;

function modelsAreDue(stats, now) {
  const restarted = stats.uptime_s < (state.stats?.uptime_s ?? 0);
  return restarted || state.failures > 0 || now - state.modelsAt > MODELS_EVERY_MS;
}

async function take(stats) {
  const now = performance.now();
  if (modelsAreDue(stats, now)) {
    state.models = await fetchModels();
    state.modelsAt = now;
  }
  history.record(stats, now);
  Object.assign(state, { stats, seenAt: now, failures: 0, problem: '' });
}

function pollIn(waitMs) {
  clearTimeout(timer);
  timer = setTimeout(poll, waitMs);
}

/** Takes what `get` resolves to, and returns when to poll next. */
async function hear(get, nextMs) {
  busy = true;
  const start = performance.now();
  let waitMs;
  try {
    await take(await get());
    waitMs = Math.max(0, nextMs - (performance.now() - start));
  } catch (error) {
    state.failures += 1;
    state.problem = error.message;
    waitMs = Math.min(RETRY_MAX_MS, POLL_MS * 2 ** (state.failures - 1));
    endStream();
  }
  busy = false;
  state.retryAt = performance.now() + waitMs;
  pollIn(waitMs);
  draw();
}

async function poll() {
  if (busy) return;
  clearTimeout(timer);
  await hear(fetchStats, POLL_MS);
  if (state.failures === 0 && !state.stats.draining) startStream();
}

function startStream() {
  const now = performance.now();
  if (stream || document.hidden || now < streamAfter) return;
  streamAfter = now + STREAM_EVERY_MS;
  stream = streamStats((stats) => busy || hear(async () => stats, SILENCE_MAX_MS), () => {
    stream = null;
    poll();
  });
}

function endStream() {
  stream?.close();
  stream = null;
}

document.addEventListener('visibilitychange', () => {
  if (document.hidden) endStream();
  else streamAfter = 0;
  poll();
});
addEventListener('hashchange', draw);
document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault(); // the address names the model
  $('main').focus();
});
setInterval(() => state.failures > 0 && drawBanner(), 1000);
poll();
