/** `61` is `1m 1s`. */
export function humanDuration(seconds: number): string {
  const parts: readonly (readonly [number, string])[] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ];
  const from = parts.findIndex(([count]) => count > 0);
  return (from < 0 ? parts.slice(-1) : parts.slice(from)).map(([count, unit]) => `${count}${unit}`).join(' ');
}
