const UNIT_SECONDS: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['s', 1],
  ['sec', 1],
  ['secs', 1],
  ['second', 1],
  ['seconds', 1],
  ['m', 60],
  ['min', 60],
  ['mins', 60],
  ['minute', 60],
  ['minutes', 60],
  ['h', 3600],
  ['hour', 3600],
  ['hours', 3600],
  ['d', 86_400],
  ['day', 86_400],
  ['days', 86_400],
]);

/** Seconds of `'10s'`, `'5 minutes'`, `'7d'` or plain `'30'`; `undefined` for anything else. */
export function durationSeconds(text: string): number | undefined {
  const match = /^(\d{1,9})\s?([a-z]*)$/i.exec(text.trim());
  const unit = UNIT_SECONDS.get((match?.[2] ?? '?').toLowerCase());
  return unit === undefined ? undefined : Number(match?.[1]) * unit;
}
