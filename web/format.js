// SPDX-License-Identifier: Apache-2.0
// Numbers as people read them. A unit follows its value after a no-break space.

const NBSP = '\u00a0';
const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

function significant(n, digits) {
  return n >= 10 ** (digits - 1) ? whole.format(n) : Number(n.toPrecision(digits)).toString();
}

/** 1234567 as "1,234,567". */
export function integer(n) {
  return whole.format(n);
}

/** Short form of a count: "8,421", "12.3k", "4.56M". */
export function compact(n) {
  if (n < 1e4) return integer(n);
  for (const [size, letter] of [[1e12, 'T'], [1e9, 'G'], [1e6, 'M']]) {
    if (n >= size) return significant(n / size, 3) + letter;
  }
  return significant(n / 1e3, 3) + 'k';
}

/** Events per second. */
export function rate(n) {
  if (n == null) return '–';
  if (n > 0 && n < 9.95) return n.toFixed(1) + NBSP + '/s';
  return compact(n) + NBSP + '/s';
}

/** A time given in microseconds. */
export function micros(us) {
  if (us < 999.5) return significant(us, us < 10 ? 2 : 3) + NBSP + 'µs';
  if (us < 999500) return significant(us / 1e3, 3) + NBSP + 'ms';
  return significant(us / 1e6, 3) + NBSP + 's';
}

export function bytes(n) {
  for (const [size, unit] of [[2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [2 ** 10, 'KiB']]) {
    if (n >= size) return significant(n / size, 3) + NBSP + unit;
  }
  return n + NBSP + 'B';
}

export function percent(share) {
  if (share > 0 && share < 0.001) return '<0.1%';
  const digits = share > 0 && share < 0.9995 ? 1 : 0;
  return (share * 100).toFixed(digits) + '%';
}

/** Seconds as the two largest units: "42 s", "3 min 05 s", "3 h 12 min", "5 d 2 h". */
export function duration(seconds) {
  const n = Math.floor(seconds);
  const two = (value) => String(value).padStart(2, '0');
  if (n < 60) return `${n} s`;
  if (n < 3600) return `${Math.floor(n / 60)} min${n % 60 ? ` ${two(n % 60)} s` : ''}`;
  if (n < 86400) return `${Math.floor(n / 3600)} h ${two(Math.floor(n / 60) % 60)} min`;
  return `${Math.floor(n / 86400)} d ${Math.floor(n / 3600) % 24} h`;
}

/** An axis value or bin edge: short, no unit. */
export function edge(n) {
  if (Math.abs(n) >= 1e4) return (n < 0 ? '-' : '') + compact(Math.abs(n));
  return Number(n.toPrecision(3)).toString();
}

export function plural(n, noun) {
  return `${integer(n)} ${noun}${n === 1 ? '' : 's'}`;
}
