// SPDX-License-Identifier: Apache-2.0
// Rates from counters. The server counts since its start; the page keeps what it saw in the last
// minutes and takes differences. A server that restarted counts from zero, so its history is dropped.

export const WINDOW_MS = 180000;
const FIGURE_MS = 5000; // headline figures are means over this, so that they can be read
const COUNTERS = ['requests', 'rows', 'failures'];

export const keyOf = (model) => `${model.name}/${model.version}`;

export class History {
  #series = new Map();
  #uptime = 0;

  /** Takes one answer of /api/v1/stats, received at `now` (ms, monotonic). */
  record(stats, now) {
    if (stats.uptime_s < this.#uptime) this.#series.clear();
    this.#uptime = stats.uptime_s;
    const total = Object.fromEntries(COUNTERS.map((counter) => [counter, 0]));
    for (const model of stats.models) {
      if (model.state !== 'READY') continue;
      this.#push(keyOf(model), model, now);
      for (const counter of COUNTERS) total[counter] += model[counter];
    }
    this.#push('', total, now);
  }

  #push(key, counts, now) {
    const samples = this.#series.get(key) ?? [];
    const sample = { t: now };
    for (const counter of COUNTERS) sample[counter] = counts[counter];
    samples.push(sample);
    // One sample older than the window stays: the first rate inside it needs a predecessor.
    while (samples.length > 2 && samples[1].t < now - WINDOW_MS) samples.shift();
    this.#series.set(key, samples);
  }

  /** Points {t, value} of one counter's rate per second; `key` '' is the whole server. */
  rates(key, counter) {
    const samples = this.#series.get(key) ?? [];
    return samples.slice(1).map((sample, i) => ({ t: sample.t, value: slope(samples[i], sample, counter) }));
  }

  /** The rate over the last seconds, or null before there are two samples. */
  rate(key, counter) {
    const samples = this.#series.get(key) ?? [];
    if (samples.length < 2) return null;
    const last = samples.at(-1);
    const first = samples.find((sample) => sample.t >= last.t - FIGURE_MS && sample !== last) ?? samples.at(-2);
    return slope(first, last, counter);
  }

  /** How much a counter grew within the window. */
  growth(key, counter) {
    const samples = this.#series.get(key) ?? [];
    return samples.length ? samples.at(-1)[counter] - samples[0][counter] : 0;
  }
}

function slope(from, to, counter) {
  return Math.max(0, ((to[counter] - from[counter]) * 1000) / (to.t - from.t));
}
