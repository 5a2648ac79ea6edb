// SPDX-License-Identifier: Apache-2.0
// What the page shows of one model version. createModel returns { node, update }; update takes the
// model's row of /api/v1/stats and runs about once a second.

import { columns, spanOf, timeChart } from './charts.js';
import { h, setFigure, setText } from './dom.js';
import { bytes, compact, duration, edge, integer, micros, percent, plural, rate } from './format.js';
import { keyOf, WINDOW_MS } from './history.js';
import { createTensorTryIt, engineName, isTensorModel, tensorFacts, tensorsView } from './tensors.js';
import { createTryIt } from './tryit.js';

const TASKS = {
  binary: 'Binary classification',
  multiclass: 'Multi-class classification',
  regression: 'Regression',
  ranking: 'Ranking',
};
const STATES = { READY: 'Ready', FAILED: 'Failed' };
const PERCENTILES = [['p50', 'p50'], ['p90', 'p90'], ['p99', 'p99'], ['p999', 'p99.9'], ['max', 'max']];
const MINUTES = WINDOW_MS / 60000;
const BATCH_BARS_MIN = 6;
const BATCH_TICKS_MAX = 8;

export function stateBadge(state) {
  return h('span', { class: 'badge', 'data-state': state }, STATES[state] ?? state);
}

function card(className, title, note, ...children) {
  const heading = h('h2', null, title);
  return h('section', { class: `card ${className}` },
    h('header', null, heading, note && h('span', { class: 'note' }, note)), ...children);
}

function title(model) {
  const task = model.state === 'READY' &&
    (isTensorModel(model) ? engineName(model) : TASKS[model.signature.task] ?? model.signature.task);
  return h('header', { class: 'title' },
    h('h1', null, model.name), h('span', { class: 'version' }, `v${model.version}`), stateBadge(model.state),
    task && h('span', { class: 'task' }, task));
}

function kernelOf(forest) {
  const { kernel_one: one, kernel_many: many } = forest;
  return one === many ? one : `${one} (one row) · ${many} (batches)`;
}

function forestFacts({ forest, signature }) {
  return [
    ['Features', integer(signature.features.length)],
    ['Trees', integer(forest.trees)],
    ['Depth', integer(forest.depth)],
    ['Leaves', integer(forest.leaves)],
    ['Classes', forest.classes > 2 && integer(forest.classes)],
    ['Memory', bytes(forest.bytes)],
    ['Objective', forest.objective],
    ['Format', [forest.format, forest.library_version].filter(Boolean).join(' · ')],
    ['Kernel', kernelOf(forest)],
  ];
}

function facts(model) {
  const rows = isTensorModel(model) ? tensorFacts(model) : forestFacts(model);
  return h('dl', { class: 'facts' }, rows.filter(([, value]) => value)
    .map(([term, value]) => h('div', null, h('dt', null, term), h('dd', null, value))));
}

function warnings(model) {
  const list = (model.forest ?? model.engine).warnings;
  if (!list?.length) return null;
  return h('ul', { class: 'warnings', 'aria-label': 'Warnings' }, list.map((text) => h('li', null, text)));
}

function series(className, name, format) {
  const figure = h('span', { class: 'figure' }, '–');
  const chart = timeChart(name, format);
  return {
    node: h('div', { class: `series ${className}` },
      h('div', { class: 'series-head' }, h('span', { class: 'key' }, name), figure), chart.node),
    update(points, now, value) {
      chart.update(points, now);
      setFigure(figure, rate(value));
    },
  };
}

function throughput() {
  const requests = series('requests', 'Requests', rate);
  const rows = series('rows', 'Rows', rate);
  const totals = h('p', { class: 'totals' });
  const start = h('span');
  const axis = h('div', { class: 'axis', 'aria-hidden': 'true' }, start, h('span', null, 'now'));
  return {
    node: card('throughput', 'Throughput', null, requests.node, rows.node, axis, totals),
    update(stats, history, now) {
      const key = keyOf(stats);
      requests.update(history.rates(key, 'requests'), now, history.rate(key, 'requests'));
      rows.update(history.rates(key, 'rows'), now, history.rate(key, 'rows'));
      setText(start, `${duration(spanOf(history.rates(key, 'rows'), now) / 1000)} ago`);
      const missing = stats.missing_values ? `, ${plural(stats.missing_values, 'value')} missing` : '';
      const unseen = stats.unseen_categories ? `, ${plural(stats.unseen_categories, 'value')} of unseen categories` : '';
      setText(totals, stats.requests ? `${plural(stats.requests, 'request')} and ${plural(stats.rows, 'row')} since the start${missing}${unseen}`
        : 'No requests yet. Send one with the form below or with its curl line.');
    },
  };
}

// Latencies span decades, so the bars are logarithmic: equal steps are equal factors.
function latency() {
  const engine = h('p', { class: 'totals' });
  const rows = PERCENTILES.map(([field, name]) => {
    const bar = h('i');
    const value = h('span', { class: 'value' }, '–');
    return { field, bar, value, node: h('li', null, h('span', { class: 'name' }, name), h('span', { class: 'track' }, bar), value) };
  });
  return {
    node: card('latency', 'Latency', 'since the start', h('ul', { class: 'percentiles' }, rows.map((row) => row.node)), engine),
    update(stats) {
      const times = stats.latency_us;
      const known = stats.requests > 0 && times.max > 0;
      const share = `in the engine ${micros(stats.engine_us.p50)} (p50)`;
      setText(engine, `From request read to reply ready${known ? `, of which ${share}` : ''}. Logarithmic bars.`);
      const floor = Math.log10(Math.max(times.p50, 0.1)) - 0.5;
      const span = Math.log10(Math.max(times.max, 0.1)) - floor;
      for (const row of rows) {
        setFigure(row.value, known ? micros(times[row.field]) : '–');
        const length = known ? (Math.log10(Math.max(times[row.field], 0.1)) - floor) / span : 0;
        row.bar.style.width = `${100 * Math.min(1, Math.max(0, length))}%`;
      }
    },
  };
}

function batchBins(stats) {
  const bins = stats.batch_bins.map((bin, i, all) => {
    const from = i ? all[i - 1].max + 1 : 1;
    const last = i === all.length - 1;
    const label = last ? `${from}+` : bin.max === from ? `${from}` : `${from}–${bin.max}`;
    return { count: bin.count, label, tick: last ? `${compact(from - 1)}+` : compact(bin.max) };
  });
  let used = bins.length;
  while (used > BATCH_BARS_MIN && bins[used - 1].count === 0) used--;
  return bins.slice(0, used);
}

function batches() {
  const chart = columns('Rows per engine call');
  const mean = h('span', { class: 'figure' }, '–');
  return {
    node: card('batches', 'Batch size', 'since the start',
      h('p', { class: 'headline' }, mean, ' ', h('span', { class: 'quiet' }, 'rows per engine call, mean')), chart.node),
    update(stats) {
      setFigure(mean, stats.batches ? edge(stats.rows / stats.batches) : '–');
      const bins = batchBins(stats);
      const everySecond = bins.length > BATCH_TICKS_MAX;
      chart.update(bins, bins.map((bin, i) => (everySecond && i % 2 ? '' : bin.tick)),
        (bin, share) => `${bin.label} ${bin.label === '1' ? 'row' : 'rows'}: ${percent(share)}`);
    },
  };
}

function scores(model) {
  const chart = columns('Scores');
  const mean = h('span', { class: 'figure' }, '–');
  const { task, labels } = model.signature;
  const positive = task === 'binary' && labels?.[1];
  const what = positive ? `mean score of “${positive}”` : task === 'multiclass' ? 'mean score of the winning class' : 'mean score';
  return {
    node: card('scores', 'Scores', 'since the start',
      h('p', { class: 'headline' }, mean, ' ', h('span', { class: 'quiet' }, what)), chart.node),
    update(stats) {
      const bins = stats.score_bins.map(({ min, max, count }) => ({ min, max, count, label: `${edge(min)} to ${edge(max)}` }));
      const total = bins.reduce((sum, bin) => sum + bin.count, 0);
      const sum = bins.reduce((partial, bin) => partial + (bin.count * (bin.min + bin.max)) / 2, 0);
      setFigure(mean, total ? `≈ ${edge(sum / total)}` : '–'); // from the bins' middles
      const from = bins[0].min, to = bins.at(-1).max;
      chart.update(bins, [from, (from + to) / 2, to].map(edge),
        (bin, share) => `${bin.label}: ${percent(share)}`);
    },
  };
}

const sentence = (code) => code.charAt(0) + code.slice(1).toLowerCase().replaceAll('_', ' ');

function errors() {
  const share = h('span', { class: 'figure' }, '–');
  const list = h('ul', { class: 'reasons' });
  const none = h('p', { class: 'nothing' }, 'No request has failed');
  const recent = h('p', { class: 'totals' });
  return {
    node: card('errors', 'Errors', 'since the start',
      h('p', { class: 'headline' }, share, ' ', h('span', { class: 'quiet' }, 'of requests failed')), list, none, recent),
    update(stats, history) {
      const reasons = Object.entries(stats.errors).filter(([, count]) => count).sort((a, b) => b[1] - a[1]);
      const all = stats.requests + stats.failures;
      setFigure(share, all ? percent(stats.failures / all) : '–');
      none.hidden = reasons.length > 0;
      const worst = reasons[0]?.[1];
      const shown = JSON.stringify(reasons);
      if (list.dataset.shown !== shown) {
        list.dataset.shown = shown;
        list.replaceChildren(...reasons.map(([code, count]) => reasonRow(code, count, count / worst)));
      }
      const grown = history.growth(keyOf(stats), 'failures');
      setText(recent, reasons.length ? `${integer(grown)} in the last ${MINUTES} minutes` : '');
    },
  };
}

function reasonRow(code, count, share) {
  const bar = h('i');
  bar.style.width = `${100 * share}%`;
  return h('li', { title: code }, h('span', { class: 'name' }, sentence(code)), h('span', { class: 'value' }, integer(count)),
    h('span', { class: 'track' }, bar));
}

function readyModel(model) {
  const isTensors = isTensorModel(model); // what these answer need not be scores
  const parts = [throughput(), latency(), batches(), ...(isTensors ? [] : [scores(model)]), errors()];
  const tryIt = isTensors ? createTensorTryIt(model) : createTryIt(model);
  return {
    node: h('article', null, title(model), facts(model), warnings(model), isTensors && tensorsView(model),
      h('div', { class: isTensors ? 'grid tensor-grid' : 'grid' }, parts.map((part) => part.node), card('try', 'Try it', null, tryIt))),
    update(stats, history, now) {
      for (const part of parts) part.update(stats, history, now);
    },
  };
}

function failedModel(model) {
  const reason = h('pre', { class: 'reason', tabindex: '0', 'aria-label': 'Reason' }, model.reason);
  const body = h('section', { class: 'card failure' },
    h('h2', null, 'This version could not be loaded'), reason,
    model.hint && h('p', { class: 'hinted' }, model.hint),
    h('p', null, 'The other models keep serving. ', h('code', null, 'phoenix check'),
      ' on the same file shows what is in it and whether it would be served; then start the server again.'));
  return { node: h('article', null, title(model), body), update() {} };
}

export function createModel(model) {
  if (model.state === 'FAILED') return failedModel(model);
  return readyModel(model);
}
