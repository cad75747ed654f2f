import 'uplot/dist/uPlot.min.css';
import { useEffect, useLayoutEffect, useRef, useState } from 'react';
import uPlot from 'uplot';
import { clock, figure } from './format';
import { useLanguage } from './language';
import { useScheme } from './scheme';

export interface Line {
  readonly label: string;
  /** A CSS variable of style/admin.css, as --line-1. */
  readonly color: string;
  /** How it is dashed: the lengths of strokes and gaps, in px. */
  readonly dash?: readonly number[] | undefined;
  /** A value a time; null where nothing was measured. */
  readonly values: (number | null)[];
}

interface ChartProps {
  readonly title: string;
  /** Unix seconds, ascending. */
  readonly times: number[];
  readonly lines: readonly Line[];
  /** A value in words. */
  readonly say: (value: number) => string;
}

const height = 170;

/** Lines over time, live. What it shows is also in words under it: the newest value of each line, or those at the pointer. */
export function Chart({ title, times, lines, say }: ChartProps) {
  const { language } = useLanguage();
  const { scheme } = useScheme();
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [pointed, setPointed] = useState<number | null>(null);
  const data: uPlot.AlignedData = [times, ...lines.map((line) => line.values)];
  const shape = lines.map((line) => `${line.label}\t${line.color}\t${line.dash}`).join('\n');
  const newest = useRef({ data, lines });
  newest.current = { data, lines };

  // Colours are read when it is made: another scheme makes it again.
  useLayoutEffect(() => {
    const parent = box.current;
    if (!parent) return;
    const style = getComputedStyle(document.documentElement);
    const color = (name: string) => style.getPropertyValue(name).trim();
    const axis = { stroke: color('--dim'), grid: { stroke: color('--line'), width: 1 }, ticks: { stroke: color('--line'), width: 1 }, font: '11px system-ui, sans-serif' };
    const made = new uPlot(
      {
        width: Math.max(parent.clientWidth, 100),
        height,
        legend: { show: false },
        cursor: { sync: { key: 'overview' }, drag: { x: false, y: false }, points: { size: 6 } },
        scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(high ?? 0, 1) * 1.08] } },
        axes: [
          { ...axis, size: 26, gap: 4, values: (_, splits) => splits.map((at) => clock(language, at * 1_000)), space: 76 },
          { ...axis, size: 46, gap: 4, values: (_, splits) => splits.map((value) => figure(language, value)) },
        ],
        series: [
          {},
          ...newest.current.lines.map((line) => ({ label: line.label, stroke: color(line.color), width: 1.75, points: { show: false }, ...(line.dash ? { dash: [...line.dash] } : {}) })),
        ],
        hooks: { setCursor: [(self) => setPointed(self.cursor.idx ?? null)] },
      },
      newest.current.data,
      parent,
    );
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: Math.max(parent.clientWidth, 100), height }));
    watch.observe(parent);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape, scheme, language]);

  useEffect(() => {
    plot.current?.setData(newest.current.data);
  }, [times, lines]);

  const at = pointed !== null && pointed < times.length ? pointed : times.length - 1;
  return (
    <figure className="chart">
      <figcaption>{title}</figcaption>
      <div ref={box} className="chart-box" aria-hidden="true" />
      <ul className="legend">
        {lines.map((line) => {
          const value = line.values[at];
          return (
            <li key={line.label}>
              <svg viewBox="0 0 18 4" className="legend-mark" aria-hidden="true">
                <line x1="0" y1="2" x2="18" y2="2" className={`stroke${line.color}`} strokeDasharray={line.dash?.join(' ')} />
              </svg>
              {line.label} <b>{typeof value === 'number' ? say(value) : '–'}</b>
            </li>
          );
        })}
      </ul>
    </figure>
  );
}
