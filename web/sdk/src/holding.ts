import type { Holding } from './store.js';

type Range = readonly [first: number, last: number];

/** How many stretches of a conversation are remembered; of more, the oldest are forgotten, and read from the server again. */
const mostRanges = 64;

export const nothingHeld: Holding = { ranges: [] };

/** The holding with [first, last] in it. */
export function hold(holding: Holding, first: number, last: number): Holding {
  if (last < first) return holding;
  const ranges: Range[] = [];
  let [low, high] = [first, last];
  for (const range of holding.ranges) {
    if (range[1] < low - 1 || range[0] > high + 1) {
      ranges.push(range);
    } else {
      low = Math.min(low, range[0]);
      high = Math.max(high, range[1]);
    }
  }
  ranges.push([low, high]);
  ranges.sort((a, b) => a[0] - b[0]);
  return { ...holding, ranges: ranges.slice(-mostRanges) };
}

/** The holding without [first, last]. */
export function release(holding: Holding, first: number, last: number): Holding {
  const ranges: Range[] = [];
  for (const [low, high] of holding.ranges) {
    if (low < first) ranges.push([low, Math.min(high, first - 1)]);
    if (high > last) ranges.push([Math.max(low, last + 1), high]);
  }
  return { ...holding, ranges: ranges.slice(-mostRanges) };
}

/** The stretch that seq is in. */
export function stretchOf(holding: Holding, seq: number): Range | undefined {
  return holding.ranges.find(([first, last]) => first <= seq && seq <= last);
}

/** The highest conversation_seq that is held; 0 if none is. */
export function topOf(holding: Holding): number {
  return holding.ranges.at(-1)?.[1] ?? 0;
}
