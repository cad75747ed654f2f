import { useLayoutEffect, useMemo, useRef, useState } from 'react';
import { after, exact } from './format';
import { type Text, useLanguage } from './language';
import { type Mark, picture } from './lanes';
import type { Trace } from './types';

const left = 140; // px for the lanes' names
const top = 34;
const lane = 58;

type Look = 'in' | 'stored' | 'out' | 'back' | 'read' | 'bad';

/** What a kind of event looks like; others are plain. */
const looks: Readonly<Record<string, Look>> = {
  accepted: 'in',
  duplicate: 'in',
  committed: 'stored',
  relayed: 'out',
  pushed: 'out',
  retried: 'out',
  synced: 'out',
  sweep_repair: 'out',
  acked: 'back',
  acked_by_position: 'back',
  receipt: 'back',
  read: 'read',
  push_failed: 'bad',
  evicted: 'bad',
  behind: 'bad',
  closed: 'bad',
  recalled: 'bad',
};

export function lookOf(kind: string): Look {
  return looks[kind] ?? 'out';
}

export function eventName(text: Text, kind: string): string {
  const known: Readonly<Record<string, string>> = text.events;
  return known[kind] ?? kind;
}

/** The trace as a picture: a lane for each node and device, time from left to right. Screen readers get the table beside it. */
export function Timeline({ trace }: { readonly trace: Trace }) {
  const { language, text } = useLanguage();
  const box = useRef<HTMLDivElement>(null);
  const [room, setRoom] = useState(800);
  useLayoutEffect(() => {
    const parent = box.current;
    if (!parent) return;
    const fit = () => setRoom(parent.clientWidth - left);
    fit();
    const watch = new ResizeObserver(fit);
    watch.observe(parent);
    return () => watch.disconnect();
  }, []);
  const drawn = useMemo(() => picture(trace, room), [trace, room]);
  const start = drawn.ticks[0]?.at ?? 0;
  const height = top + drawn.lanes.length * lane + 12;
  const y = (n: number) => top + n * lane + lane / 2 - 6;
  return (
    <>
      <div ref={box} className="timeline" role="group" aria-label={text.timeline} tabIndex={0}>
        <svg width={left} height={height} className="timeline-names" aria-hidden="true" focusable="false">
          {drawn.lanes.map((line, n) => (
            <g key={line.key}>
              <rect x="0" y={top + n * lane} width={left} height={lane} className={n % 2 === 0 ? 'lane' : 'lane lane-odd'} />
              <text x="10" y={y(n)} className="lane-title">
                {cut(line.kind === 'node' ? text.nodeName(line.name) : line.user)}
              </text>
              <text x="10" y={y(n) + 15} className="lane-sub">
                {cut(line.kind === 'node' ? '' : line.name || text.anyDevice)}
              </text>
            </g>
          ))}
        </svg>
        <svg width={drawn.width} height={height} aria-hidden="true" focusable="false">
          <defs>
            {(['out', 'back'] as const).map((look) => (
              <marker key={look} id={`arrow-${look}`} viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse">
                <path d="M0 0 L8 4 L0 8 z" className={`fill-${look}`} />
              </marker>
            ))}
          </defs>
          {drawn.lanes.map((line, n) => (
            <g key={line.key}>
              <rect x="0" y={top + n * lane} width={drawn.width} height={lane} className={n % 2 === 0 ? 'lane' : 'lane lane-odd'} />
              <line x1="0" x2={drawn.width} y1={y(n)} y2={y(n)} className={line.kind === 'node' ? 'rail rail-node' : 'rail'} />
            </g>
          ))}
          {drawn.ticks.map(({ x, at }, n) => (
            <g key={x}>
              <line x1={x} x2={x} y1={top} y2={height - 12} className="tick" />
              <text x={x} y={top - 10} textAnchor="middle" className="tick-text">
                {n === 0 ? exact(language, at) : `+${after(at - start)}`}
              </text>
            </g>
          ))}
          {drawn.marks.map((mark, n) => (mark.other === null ? null : <Arrow key={n} mark={mark} x={mark.x} from={y(mark.other)} to={y(mark.lane)} />))}
          {drawn.marks.map((mark, n) => (
            <Dot key={n} mark={mark} x={mark.x} y={y(mark.lane)} name={eventName(text, mark.event.kind)} more={`${exact(language, mark.event.at)} ${mark.event.detail}`} />
          ))}
        </svg>
      </div>
      {drawn.left > 0 ? <p className="dim">{text.lanesLeft(drawn.left)}</p> : null}
    </>
  );
}

function cut(name: string): string {
  return name.length > 18 ? `${name.slice(0, 17)}…` : name;
}

function Arrow({ mark, x, from, to }: { readonly mark: Mark; readonly x: number; readonly from: number; readonly to: number }) {
  const look = lookOf(mark.event.kind);
  const radius = 11;
  const down = to > from;
  // What comes back from a device points at its node.
  if (look === 'back' || look === 'read') return <line x1={x} x2={x} y1={down ? to - radius : to + radius} y2={from + (down ? 3 : -3)} className="arrow arrow-back" markerEnd="url(#arrow-back)" />;
  return <line x1={x} x2={x} y1={from} y2={down ? to - radius - 1 : to + radius + 1} className={look === 'bad' ? 'arrow arrow-bad' : 'arrow arrow-out'} markerEnd="url(#arrow-out)" />;
}

function Dot({ mark, x, y, name, more }: { readonly mark: Mark; readonly x: number; readonly y: number; readonly name: string; readonly more: string }) {
  const look = lookOf(mark.event.kind);
  const attempt = mark.event.attempt ?? 0;
  return (
    <g className={`dot dot-${look}`}>
      <title>{`${name} · ${more}`}</title>
      {look === 'in' ? <circle cx={x} cy={y} r="9" /> : null}
      {look === 'stored' ? <rect x={x - 9} y={y - 9} width="18" height="18" rx="4" /> : null}
      {look === 'out' ? <circle cx={x} cy={y} r="10" /> : null}
      {look === 'back' ? (
        <>
          <circle cx={x} cy={y} r="10" />
          <path d={`M${x - 5} ${y} l3.500 4 6.500 -7.500`} />
        </>
      ) : null}
      {look === 'read' ? (
        <>
          <circle cx={x} cy={y} r="11" />
          <path d={`M${x - 7} ${y} l3 4 5.500 -7.500 M${x - 0.5} ${y + 3.5} l1 1 5.500 -7.500`} />
        </>
      ) : null}
      {look === 'bad' ? (
        <>
          <path d={`M${x} ${y - 11} l11 11 -11 11 -11 -11 z`} />
          <path d={`M${x} ${y - 5} v5.500 M${x} ${y + 4} v0.500`} className="bang" />
        </>
      ) : null}
      {look === 'out' && attempt > 0 ? (
        <text x={x} y={y + 4} textAnchor="middle" className="attempt">
          {attempt}
        </text>
      ) : null}
      <text x={x} y={y + 27} textAnchor="middle" className="dot-name">
        {name}
      </text>
    </g>
  );
}
