/** The longest wait between two tries, in ms. */
const longest = 30_000;

/**
 * Exponential backoff with full jitter: a random time below 500 ms, 1 s, 2 s … 30 s for attempt 0, 1, 2 …
 * Many clients that lost the same server come back spread over that time.
 */
export function backoff(attempt: number, random: () => number): number {
  return random() * Math.min(longest, 500 * 2 ** Math.min(attempt, 16));
}
