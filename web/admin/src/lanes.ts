import type { Trace, TraceEvent } from './types.js';

/** A line of the picture: a node, or a device, or a person for what no single device did. */
export interface Lane {
  readonly key: string;
  readonly kind: 'node' | 'device' | 'person';
  readonly user: string;
  readonly name: string;
}

/** An event at its place in the picture. */
export interface Mark {
  readonly event: TraceEvent;
  readonly lane: number;
  /** Where a line comes from or goes to: the node of a device's event. */
  readonly other: number | null;
  readonly x: number;
}

export interface Tick {
  readonly x: number;
  readonly at: number;
}

export interface Picture {
  readonly lanes: readonly Lane[];
  readonly marks: readonly Mark[];
  readonly ticks: readonly Tick[];
  readonly width: number;
  /** Lanes that did not fit. */
  readonly left: number;
}

const most = 24; // lanes
const margin = 48; // px before the first moment and after the last
const together = 0.5; // ms that are one moment
const near = 64; // px between two moments that follow at once
const word = 84; // px between two events of one lane: their names fit
const decade = 26; // px more for each tenfold of time, at most

const nodeKey = (node: string) => `node ${node}`;
const deviceKey = (user: string, device: string) => `${user}/${device}`;

/** When an event was, in ms with a fraction. */
export const timeOf = ({ at, micros }: TraceEvent): number => at + micros / 1_000;

/** What a node does with the message itself: the user of these is who sent it. */
const ofMessage = new Set(['accepted', 'committed', 'duplicate', 'relayed', 'recalled']);

/** Whose event it is; empty for a node's. */
export function userOf({ kind, node, user_id }: TraceEvent): string {
  return node && ofMessage.has(kind) ? '' : user_id;
}

/** The lanes of a trace: its nodes, then each recipient's devices. */
function lanesOf(trace: Trace): Lane[] {
  const nodes = new Set([trace.accepted.node, ...trace.events.map(({ node }) => node)].filter(Boolean));
  const lanes: Lane[] = [...nodes].sort((a, b) => Number(a) - Number(b)).map((node) => ({ key: nodeKey(node), kind: 'node', user: '', name: node }));

  const people = new Map<string, { name: string; devices: Map<string, string>; alone: boolean }>();
  const person = (user: string, name: string) => {
    const known = people.get(user) ?? { name, devices: new Map<string, string>(), alone: false };
    people.set(user, known);
    return known;
  };
  for (const { user_id, username, devices } of [trace.sender, ...trace.recipients]) {
    const of = person(user_id, username || user_id);
    for (const { device_id, name } of devices) if (device_id) of.devices.set(device_id, name || device_id);
  }
  for (const event of trace.events) {
    const [user, device] = [userOf(event), event.device_id];
    if (!user) continue;
    const of = person(user, user);
    if (!device) of.alone = true;
    else if (!of.devices.has(device)) of.devices.set(device, device);
  }
  for (const [user, { name, devices, alone }] of people) {
    for (const [device, deviceName] of devices) lanes.push({ key: deviceKey(user, device), kind: 'device', user: name, name: deviceName });
    if (devices.size === 0 || (alone && devices.size > 1)) lanes.push({ key: deviceKey(user, ''), kind: 'person', user: name, name: '' });
  }
  return lanes;
}

/** Lays a trace out in about so many px, more when it does not fit: moments in order, their distance growing with the logarithm of the time between them, as milliseconds and hours meet in it. */
export function picture(trace: Trace, room: number): Picture {
  const all = lanesOf(trace);
  const lanes = all.slice(0, most);
  const index = new Map(lanes.map(({ key }, n) => [key, n]));
  const users = new Map<string, string[]>();
  for (const { key, kind } of all) {
    if (kind !== 'device') continue;
    const user = key.slice(0, key.indexOf('/'));
    users.set(user, [...(users.get(user) ?? []), key]);
  }
  function place(event: TraceEvent): number | undefined {
    const { device_id, node } = event;
    const user = userOf(event);
    if (!user) return node ? index.get(nodeKey(node)) : undefined;
    if (device_id) return index.get(deviceKey(user, device_id));
    const of = users.get(user) ?? [];
    return index.get(of.length === 1 && of[0] ? of[0] : deviceKey(user, ''));
  }

  const placed = [...trace.events]
    .sort((a, b) => timeOf(a) - timeOf(b))
    .flatMap((event) => {
      const lane = place(event);
      return lane === undefined ? [] : [{ event, lane }];
    });

  // Steps from one moment to the next: what is needed, and how much more its time is worth.
  const steps: { least: number; worth: number; at: number }[] = [];
  const columns: number[] = []; // each mark's step
  const last = new Map<number, number>(); // each lane's last step
  let now = Number.NaN;
  for (const { event, lane } of placed) {
    const at = timeOf(event);
    const moment = !(at - now < together);
    const from = event.node ? index.get(nodeKey(event.node)) : undefined;
    const crowded = steps.length > 0 && (last.get(lane) === steps.length - 1 || (from !== undefined && last.get(from) === steps.length - 1));
    if (moment || crowded) {
      steps.push({ least: steps.length === 0 ? 0 : crowded ? word : near, worth: steps.length > 0 ? Math.log10(Math.max(at - now, 1)) : 0, at });
      now = at;
    }
    columns.push(steps.length - 1);
    last.set(lane, steps.length - 1);
  }
  const least = steps.reduce((sum, step) => sum + step.least, 0);
  const worth = steps.reduce((sum, step) => sum + step.worth, 0);
  const scale = worth > 0 ? Math.min(decade, Math.max(0, room - 2 * margin - least) / worth) : 0;
  const xs: number[] = [];
  let x = margin;
  for (const step of steps) {
    x += step.least + step.worth * scale;
    xs.push(x);
  }

  const marks = placed.map<Mark>(({ event, lane }, n) => {
    const node = event.node ? index.get(nodeKey(event.node)) : undefined;
    return { event, lane, other: node !== undefined && node !== lane ? node : null, x: xs[columns[n] ?? 0] ?? margin };
  });
  const ticks = steps.map<Tick>(({ at }, n) => ({ x: xs[n] ?? margin, at }));
  return { lanes, marks, ticks, width: Math.max(x + margin, room), left: all.length - lanes.length };
}
