/** Time as the client sees it. Only differences of `now` count: setting the wall clock changes nothing. */
export interface Clock {
  /** Milliseconds since any fixed moment; never goes back. */
  now(): number;
  /** Milliseconds since 1970, as the device believes; may jump. */
  wall(): number;
  /** Calls fn once after ms milliseconds; the answer calls it off. */
  after(ms: number, fn: () => void): () => void;
}

/** The host's own time. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(ms, fn) {
    const timer = setTimeout(fn, ms);
    return () => clearTimeout(timer);
  },
};
