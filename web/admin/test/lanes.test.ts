import assert from 'node:assert/strict';
import { test } from 'node:test';
import { picture } from '../src/lanes.js';
import type { Trace, TraceEvent } from '../src/types.js';

function person(user_id: string, username: string, ...devices: string[]): Trace['sender'] {
  return { user_id, username, seq: 4, delivered: true, read: false, delivered_at: 0, read_at: 0, devices: devices.map((name) => ({ device_id: name.toLowerCase(), name, state: 'acked', acked: 4, head: 4, acked_at: 0 })) };
}

function trace(events: (Partial<TraceEvent> & { at: number; kind: string })[], recipients: Trace['recipients'] = []): Trace {
  return {
    message_id: '1', conversation_id: '2', conversation_seq: 1, delivery: 'mailbox', sender_id: '3', client_message_id: 'k', recalled_at: 0,
    accepted: { at: 0, node: '2', batch_id: '', batch_size: 1, commit_ms: 1, committed_at: 0, source: 'trace' },
    sender: person('3', 'ann', 'Laptop'), recipients, totals: { recipients: 1, delivered: 0, read: 0 },
    events: events.map((event) => ({ micros: 0, node: '', user_id: '', device_id: '', connection_id: '', seq: 0, attempt: 0, detail: '', ...event })),
    more_events: false, complete: true, sampled: true, has_more: false, next_cursor: '', missing_nodes: [],
  };
}

const bob = person('7', 'bob', 'Phone');

test('nodes come first, then devices by their names, and an event knows its node', () => {
  const drawn = picture(
    trace(
      [
        { at: 1_009, node: '10', kind: 'pushed', user_id: '7', device_id: 'phone', attempt: 1 },
        { at: 1_000, node: '2', kind: 'accepted', user_id: '3' },
        { at: 1_020, node: '10', kind: 'receipt', user_id: '7' },
        { at: 1_030, node: '10', kind: 'pushed', user_id: '8', device_id: 'web' },
      ],
      [bob],
    ),
    800,
  );
  assert.deepEqual(
    drawn.lanes.map(({ kind, user, name }) => [kind, user, name]),
    [
      ['node', '', '2'],
      ['node', '', '10'],
      ['device', 'ann', 'Laptop'],
      ['device', 'bob', 'Phone'],
      ['device', '8', 'web'],
    ],
  );
  // What a person did is drawn at their only device.
  assert.deepEqual(
    drawn.marks.map(({ event, lane, other }) => [event.kind, lane, other]),
    [
      ['accepted', 0, null],
      ['pushed', 3, 1],
      ['receipt', 3, 1],
      ['pushed', 4, 1],
    ],
  );
});

test('time goes from left to right, a moment is one place, and two events of one lane never lie on each other', () => {
  const drawn = picture(
    trace([
      { at: 1_000, node: '2', kind: 'accepted' },
      { at: 1_000, node: '2', kind: 'committed' },
      { at: 1_000, micros: 400, node: '3', kind: 'relayed' },
      { at: 1_001, node: '2', kind: 'pushed', user_id: '7', device_id: 'phone' },
      { at: 3_600_000, node: '2', kind: 'read', user_id: '7', device_id: 'phone' },
    ]),
    600,
  );
  const [accepted, committed, relayed, pushed, read] = drawn.marks.map(({ x }) => x);
  assert.ok(accepted !== undefined && committed !== undefined && relayed !== undefined && pushed !== undefined && read !== undefined);
  assert.ok(committed - accepted >= 60 && pushed > committed && read - pushed > pushed - committed, String([accepted, committed, pushed, read]));
  assert.equal(relayed, committed);
  assert.deepEqual(
    drawn.ticks.map(({ at }) => at),
    [1_000, 1_000, 1_001, 3_600_000],
  );
  assert.ok(drawn.width <= 600, `an hour fits into the room: ${drawn.width}`);
});

test('a person without devices has a lane, and too many lanes are told', () => {
  assert.deepEqual(picture(trace([{ at: 1, kind: 'read', user_id: '9' }]), 600).lanes.at(-1), { key: '9/', kind: 'person', user: '9', name: '' });
  const crowd = Array.from({ length: 40 }, (_, n) => person(String(100 + n), '', 'web'));
  const drawn = picture(trace([{ at: 1, node: '2', kind: 'pushed', user_id: '139', device_id: 'web' }], crowd), 600);
  assert.equal(drawn.lanes.length + drawn.left, 42);
  assert.ok(drawn.left > 0);
  assert.deepEqual(drawn.marks, []);
});
