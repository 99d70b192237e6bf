// Numbers and times as people read them.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

export const NONE = '–';

export function count(value) {
  return value < 100_000 ? whole.format(value) : short.format(value);
}

export function rate(value) {
  if (value === null || value === undefined) {
    return NONE;
  }
  return value > 0 && value < 9.95 ? value.toFixed(1) : count(value);
}

/** A round trip, given in microseconds. */
export function roundTrip(us) {
  if (us === undefined || us === null) {
    return NONE;
  }
  return us < 9950 ? `${(us / 1000).toFixed(2)} ms` : `${whole.format(us / 1000)} ms`;
}

export function duration(seconds) {
  const rounded = Math.max(0, Math.floor(seconds));
  const [minutes, hours, days] = [60, 3600, 86_400].map((unit) => Math.floor(rounded / unit));
  if (days > 0) {
    return `${days} d ${hours % 24} h`;
  }
  if (hours > 0) {
    return `${hours} h ${minutes % 60} min`;
  }
  return minutes > 0 ? `${minutes} min` : `${rounded} s`;
}

export const ago = (time, now) => `${duration((now - time) / 1000)} ago`;

export const time = (when) => clock.format(when);
