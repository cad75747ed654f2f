import type { Page } from 'playwright-core';

/** What was seen of the messages while they moved. */
export interface Journey {
  /** The numbers of the messages that were in sight, in the order in which they came into it. */
  readonly seen: readonly number[];
  /** The time from one frame to the next, in ms. */
  readonly frames: readonly number[];
  /** The first message of each frame that moved the other way, or farther than it was scrolled, and what there was to see of why. */
  readonly jumps: readonly string[];
  /** The most elements and the most messages that were in the page at a time. */
  readonly elements: number;
  readonly messages: number;
}

/**
 * Scrolls the open conversation by `step` CSS pixels a frame, up (-1) or down (1), until the message with the number
 * `last` is in sight. A frame in which there is nowhere to scroll to yet waits. It looks where a frame is about to be
 * painted, after what makes up for changes of size: that is what a person sees.
 */
export function travel(page: Page, direction: -1 | 1, step: number, last: number): Promise<Journey> {
  return page.evaluate(
    async ({ direction, step, last }) => {
      const list = document.querySelector('.messages-list');
      if (!list) throw new Error('no messages');
      const seen: number[] = [];
      const known = new Set<number>();
      const frames: number[] = [];
      const jumps: string[] = [];
      let [elements, messages] = [0, 0];
      let places = new Map<number, number>();
      let situation = '';
      /** The observer that was made last is told last. */
      const painted = () =>
        new Promise<number>((resolve) =>
          requestAnimationFrame((now) => {
            if (places.size > 0) list.scrollTop += direction * step;
            const observer = new ResizeObserver(() => {
              observer.disconnect();
              resolve(now);
            });
            observer.observe(list);
          }),
        );
      const end = performance.now() + 600_000;
      for (let before = performance.now(); !known.has(last); ) {
        const now = await painted();
        frames.push(now - before);
        before = now;
        if (now > end) throw new Error(`message ${last} did not come into sight; the last ones were ${seen.slice(-10).join(', ')}`);
        const view = list.getBoundingClientRect();
        const here = new Map<number, number>();
        const bubbles = list.querySelectorAll('.message');
        for (const bubble of bubbles) {
          const { top, bottom } = bubble.getBoundingClientRect();
          if (bottom <= view.top || top >= view.bottom) continue;
          const number = Number(/number (\d+)\./.exec(bubble.textContent)?.[1]);
          here.set(number, top);
          if (known.has(number)) continue;
          known.add(number);
          seen.push(number);
        }
        const was = situation;
        situation = `${bubbles.length} messages from ${bubbles[0]?.textContent.slice(0, 20)}, ${list.scrollTop} of ${list.scrollHeight}, the view ${view.top} + ${view.height}, ${[...document.querySelectorAll('[role=status], [role=alert]')].map((element) => element.textContent).join(', ')}`;
        for (const [number, top] of here) {
          const moved = ((places.get(number) ?? top) - top) * direction;
          if (moved >= -1 && moved <= step + 1) continue;
          jumps.push(`${number} by ${moved}: ${was}; then ${situation}`);
          break;
        }
        places = here;
        elements = Math.max(elements, document.querySelectorAll('*').length);
        messages = Math.max(messages, bubbles.length);
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
