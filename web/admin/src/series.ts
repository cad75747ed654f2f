import type { Sample } from './types.js';

/** A sample; a node of an older version may measure less. */
type Measured = Pick<Sample, 'at'> & Partial<Sample>;

/** What of an answer is kept. */
interface Measurements {
  readonly step_ms: number;
  readonly nodes: readonly { readonly node: string; readonly samples: readonly Measured[] }[];
}

/** The newest of what every node measured; older answers are kept, so that a poll need not bring all of it again. */
export class SeriesBook {
  #step = 2_000;
  readonly #nodes = new Map<string, Map<number, Measured>>();

  /** Adds an answer and forgets what is older than so many minutes. */
  add(series: Measurements, minutes: number): void {
    this.#step = series.step_ms || this.#step;
    let newest = 0;
    for (const { node, samples } of series.nodes) {
      const kept = this.#nodes.get(node) ?? new Map<number, Measured>();
      this.#nodes.set(node, kept);
      for (const sample of samples) {
        const slot = Math.floor(sample.at / this.#step);
        kept.set(slot, sample);
        newest = Math.max(newest, slot);
      }
    }
    const oldest = newest - (minutes * 60_000) / this.#step;
    for (const [node, kept] of this.#nodes) {
      for (const slot of kept.keys()) if (slot < oldest) kept.delete(slot);
      if (kept.size === 0) this.#nodes.delete(node);
    }
  }

  nodes(): string[] {
    return [...this.#nodes.keys()].sort((a, b) => Number(a) - Number(b));
  }

  /** The slots that there are, without holes from the oldest to the newest. */
  slots(): number[] {
    let first = Number.POSITIVE_INFINITY;
    let last = Number.NEGATIVE_INFINITY;
    for (const kept of this.#nodes.values()) {
      for (const slot of kept.keys()) {
        if (slot < first) first = slot;
        if (slot > last) last = slot;
      }
    }
    return first > last ? [] : Array.from({ length: last - first + 1 }, (_, i) => first + i);
  }

  /** Unix seconds of slots. */
  times(slots: readonly number[]): number[] {
    return slots.map((slot) => (slot * this.#step) / 1_000);
  }

  /** A measure of some nodes as one line, in units of so many: null where no node measured it. */
  line(measure: keyof Sample, nodes: readonly string[], slots: readonly number[], together: 'sum' | 'highest' | 'mean', unit = 1): (number | null)[] {
    const kept = nodes.map((node) => this.#nodes.get(node));
    return slots.map((slot) => {
      let total = 0;
      let highest = Number.NEGATIVE_INFINITY;
      let found = 0;
      for (const samples of kept) {
        const value = samples?.get(slot)?.[measure];
        if (typeof value !== 'number') continue;
        found++;
        total += value;
        if (value > highest) highest = value;
      }
      if (found === 0) return null;
      return (together === 'sum' ? total : together === 'mean' ? total / found : highest) / unit;
    });
  }
}
