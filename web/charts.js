// SPDX-License-Identifier: Apache-2.0
// Charts: shapes in SVG stretched to their box (so nothing is measured), words in HTML on top.
// Each returns { node, update }. A chart is one image to assistive technology, named by its data.

import { h, s, setText } from './dom.js';
import { duration } from './format.js';
import { WINDOW_MS } from './history.js';

const WIDTH = 600;
const HEIGHT = 100;
const GAP_MS = 12000; // a longer silence breaks the line: nothing is known about it
const SHORT_MS = 60000; // what a list's line and a page just opened show

/** The next round number: one that reads well at the top of an axis. */
function niceCeiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((step) => step * power >= value * 0.999) * power;
}

function linePath(points, x, y) {
  let path = '';
  points.forEach((point, i) => {
    const joined = i > 0 && point.t - points[i - 1].t < GAP_MS;
    path += `${joined ? 'L' : 'M'}${x(point.t).toFixed(1)} ${y(point.value).toFixed(1)}`;
  });
  return path;
}

function areaPath(points, x, y) {
  let path = '';
  for (let start = 0; start < points.length; ) {
    let end = start + 1;
    while (end < points.length && points[end].t - points[end - 1].t < GAP_MS) end++;
    const run = points.slice(start, end);
    const from = x(run[0].t).toFixed(1), to = x(run.at(-1).t).toFixed(1);
    path += linePath(run, x, y).replace('M', `M${from} ${HEIGHT}L`) + `L${to} ${HEIGHT}Z`;
    start = end;
  }
  return path;
}

function canvas(...shapes) {
  const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' };
  return s('svg', box, ...shapes);
}

/**
 * A few words that follow the pointer over a plot. `say` gets where the pointer is (0 to 1 from the left,
 * null when it is away) and returns { text, share } or null. Returns a function that says it anew.
 */
function tipOn(plot, say) {
  const tip = h('span', { class: 'tip', hidden: true });
  let share = null;
  function show() {
    const said = say(share);
    tip.hidden = !said;
    if (!said) return;
    setText(tip, said.text);
    tip.style.left = `${said.share * 100}%`;
    tip.style.transform = `translateX(-${said.share * 100}%)`;
  }
  plot.append(tip);
  plot.addEventListener('pointermove', (event) => {
    const box = plot.getBoundingClientRect();
    share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    show();
  });
  plot.addEventListener('pointerleave', () => {
    share = null;
    show();
  });
  return show;
}

/** A line without axes, for lists. */
export function sparkline() {
  const line = s('path', { class: 'line' });
  return {
    node: h('span', { class: 'sparkline' }, canvas(line)),
    update(points, now) {
      const recent = points.filter((point) => point.t > now - SHORT_MS);
      const top = niceCeiling(Math.max(0, ...recent.map((point) => point.value)));
      const x = (t) => WIDTH * (1 - (now - t) / SHORT_MS);
      line.setAttribute('d', linePath(recent, x, (value) => HEIGHT * (1 - value / top)));
    },
  };
}

/** The stretch of time on the axis: it grows from a minute to the whole window as points come in. */
export function spanOf(points, now) {
  return points.length ? Math.min(WINDOW_MS, Math.max(SHORT_MS, now - points[0].t)) : SHORT_MS;
}

/** A rate over the last minutes. `format` turns a value into words. */
export function timeChart(name, format) {
  const area = s('path', { class: 'area' });
  const line = s('path', { class: 'line' });
  const levels = s('path', { class: 'half', d: `M0 0H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}` });
  const cursor = s('path', { class: 'cursor' });
  const top = h('span', { class: 'axis-top' });
  const wait = h('span', { class: 'wait' }, 'Measuring…');
  const plot = h('div', { class: 'plot', role: 'img' }, canvas(levels, area, line, cursor), top, wait);
  let points = [], span = SHORT_MS, x = () => 0;

  function nearest(share) {
    const t = points.at(-1).t - span * (1 - share);
    const distance = (point) => Math.abs(point.t - t);
    return points.reduce((best, point) => (distance(point) < distance(best) ? point : best));
  }

  const showTip = tipOn(plot, (share) => {
    const point = share !== null && points.length ? nearest(share) : null;
    cursor.setAttribute('d', point ? `M${x(point.t)} 0V${HEIGHT}` : '');
    if (!point) return null;
    const ago = Math.round((points.at(-1).t - point.t) / 1000);
    return { text: `${format(point.value)} · ${ago ? `${ago} s ago` : 'now'}`, share: x(point.t) / WIDTH };
  });

  return {
    node: plot,
    update(rates, now) {
      span = spanOf(rates, now);
      points = rates.filter((point) => point.t >= now - span);
      const ceiling = niceCeiling(Math.max(0, ...points.map((point) => point.value)));
      x = (t) => WIDTH * (1 - (now - t) / span);
      const y = (value) => HEIGHT * (1 - value / ceiling);
      line.setAttribute('d', linePath(points, x, y));
      area.setAttribute('d', areaPath(points, x, y));
      wait.hidden = points.length > 0;
      setText(top, points.some((point) => point.value > 0) ? format(ceiling) : '');
      const latest = points.length ? format(points.at(-1).value) : 'not measured yet';
      plot.setAttribute('aria-label', `${name} over the last ${duration(span / 1000)}, now ${latest}`);
      showTip();
    },
  };
}

/** Columns of counts: update takes [{ count, label }], the words under the axis, and what to say of a column. */
export function columns(name) {
  const bars = h('div', { class: 'bars' });
  const axis = h('div', { class: 'axis', 'aria-hidden': 'true' });
  const empty = h('p', { class: 'nothing' }, 'No rows scored yet');
  const plot = h('div', { class: 'plot', role: 'img' }, bars, empty);
  let said = [];

  const showTip = tipOn(plot, (share) => {
    const i = Math.min(said.length - 1, Math.floor(share * said.length));
    return share !== null && said.length ? { text: said[i], share: (i + 0.5) / said.length } : null;
  });

  return {
    node: h('div', { class: 'columns' }, plot, axis),
    update(bins, ticks, say) {
      const total = bins.reduce((sum, bin) => sum + bin.count, 0);
      const highest = Math.max(1, ...bins.map((bin) => bin.count));
      while (bars.childElementCount > bins.length) bars.lastChild.remove();
      while (bars.childElementCount < bins.length) bars.append(h('i'));
      bins.forEach((bin, i) => {
        const bar = bars.children[i];
        bar.style.height = `${(100 * bin.count) / highest}%`;
        bar.classList.toggle('some', bin.count > 0);
      });
      said = total ? bins.map((bin) => say(bin, bin.count / total)) : [];
      empty.hidden = total > 0;
      if (axis.textContent !== ticks.join('')) axis.replaceChildren(...ticks.map((tick) => h('span', null, tick)));
      const summary = bins.filter((bin) => bin.count).map((bin) => say(bin, bin.count / total));
      plot.setAttribute('aria-label', `${name}: ${summary.join('; ') || 'nothing yet'}`);
      showTip();
    },
  };
}
