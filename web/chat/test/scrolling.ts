import type { Page } from 'playwright-core';

/** What was seen of the messages while they moved. */
export interface Journey {
  /** The numbers of the messages that were in sight, in the order in which they came into it. */
  readonly seen: readonly number[];
  /** The time from one frame to the next, in ms. */
  readonly frames: readonly number[];
  /** By how many CSS pixels messages in sight moved the other way, or farther than they were scrolled, in each frame in which one did. */
  readonly jumps: readonly number[];
  /** The most elements and the most messages that were in the page at a time. */
  readonly elements: number;
  readonly messages: number;
}

/**
 * Scrolls the open conversation by `step` CSS pixels a frame, up (-1) or down (1), until the message with the number
 * `last` is in sight. A frame in which there is nowhere to scroll to yet waits.
 */
export function travel(page: Page, direction: -1 | 1, step: number, last: number): Promise<Journey> {
  return page.evaluate(
    async ({ direction, step, last }) => {
      const list = document.querySelector('.messages-list');
      if (!list) throw new Error('no messages');
      const seen: number[] = [];
      const known = new Set<number>();
      const frames: number[] = [];
      const jumps: number[] = [];
      let [elements, messages] = [0, 0];
      let places = new Map<number, number>();
      const end = performance.now() + 120_000;
      for (let before = performance.now(); !known.has(last); ) {
        const now = await new Promise<number>((resolve) => requestAnimationFrame(resolve));
        frames.push(now - before);
        before = now;
        if (now > end) throw new Error(`message ${last} did not come into sight; the last ones were ${seen.slice(-10).join(', ')}`);
        const view = list.getBoundingClientRect();
        const here = new Map<number, number>();
        const bubbles = list.querySelectorAll('.message');
        for (const bubble of bubbles) {
          const number = Number(/number (\d+)\./.exec(bubble.textContent)?.[1]);
          const { top, bottom } = bubble.getBoundingClientRect();
          if (bottom <= view.top || top >= view.bottom) continue;
          here.set(number, top);
          if (known.has(number)) continue;
          known.add(number);
          seen.push(number);
        }
        for (const [number, top] of here) {
          const was = places.get(number);
          const moved = was === undefined ? 0 : (was - top) * direction;
          if (moved >= -1 && moved <= step + 1) continue;
          jumps.push(Math.round(moved));
          break;
        }
        places = here;
        elements = Math.max(elements, document.querySelectorAll('*').length);
        messages = Math.max(messages, bubbles.length);
        list.scrollTop += direction * step;
      }
      return { seen, frames, jumps, elements, messages };
    },
    { direction, step, last },
  );
}

/** The bytes that the page's scripts hold, after garbage was collected. */
export async function heap(page: Page): Promise<number> {
  const session = await page.context().newCDPSession(page);
  try {
    await session.send('HeapProfiler.collectGarbage');
    const { usedSize } = await session.send('Runtime.getHeapUsage');
    return usedSize;
  } finally {
    await session.detach();
  }
}

/** The value that `part` (0 to 1) of the values are at or below. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}
